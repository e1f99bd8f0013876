"""Fixtures of bmctl's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.bmctl.api import Api, serving


@pytest.fixture
def api() -> Iterator[Api]:
    """A stand-in of the API server."""
    with serving() as api:
        yield api


@pytest.fixture
def kubeconfig(api: Api, tmp_path: Path) -> Path:
    """Of a user of it."""
    return api.kubeconfig(tmp_path)
