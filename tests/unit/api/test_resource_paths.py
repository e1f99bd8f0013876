"""Paths of objects: a name that comes from a tenant never leaves the place where it is looked for."""

import pytest

from provider.api.resources import SECRET, SERVER


def test_a_path_says_where_an_object_is() -> None:
    assert SECRET.path("tenant-a", "bm-01.user-data") == "/api/v1/namespaces/tenant-a/secrets/bm-01.user-data"
    assert SERVER.path(None, "server0", "status").endswith("/servers/server0/status")
    assert SECRET.path("tenant-a") == "/api/v1/namespaces/tenant-a/secrets"


@pytest.mark.parametrize("name", ["../../tenant-b/secrets/x", "..", ".", "", "a/b", "%2e%2e%2fx"])
def test_what_no_object_can_be_called_has_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of an object"):
        SECRET.path("tenant-a", name)
    with pytest.raises(ValueError, match="cannot be the name of an object"):
        SECRET.path(name, "x")


def test_what_would_end_a_path_is_escaped() -> None:
    assert SECRET.path("tenant-a", "x?watch=1#y") == "/api/v1/namespaces/tenant-a/secrets/x%3Fwatch%3D1%23y"
