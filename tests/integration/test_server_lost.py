"""A server that is taken out of the inventory while a machine holds it: what is told of it is not what was."""

from collections.abc import Iterator
from typing import Any

import pytest

from provider.api.resources import BAREMETALMACHINE, MACHINEIMAGE, POWERSTATE, SERVER
from sandbox.apiserver import ApiServer
from tests.integration.installation import Installation, condition
from tests.integration.manifests import manifest
from tests.integration.rack import Rack
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]


@pytest.fixture
def rack(apiserver: ApiServer, rest: Rest, namespace: str) -> Iterator[Rack]:
    rack = Rack(apiserver, rest, namespace, [namespace])
    yield rack
    rack.take_away()


def test_the_power_of_a_server_that_is_no_more_is_not_known(
    installation: Installation, rack: Rack, rest: Rest, namespace: str
) -> None:
    image = f"image-of-{namespace}"
    spec = {
        "serverSelector": {"matchLabels": {"rack": rack.server}},
        "disks": [{"name": "root", "boot": True, "image": image, "size": "1Gi"}],
    }
    rest.create(MACHINEIMAGE, manifest(MACHINEIMAGE, image, None, {"sha256": "ab" * 32, "sizeBytes": 1024}))
    rest.create(BAREMETALMACHINE, manifest(BAREMETALMACHINE, "bm", namespace, spec))

    def told() -> list[tuple[str, Json]]:
        powers = rest.all_of(POWERSTATE, namespace)
        return [(condition(power).get("reason", ""), power["status"].get("atProvider", {})) for power in powers]

    eventually(told, [("WaitingForDevices", {"serverName": rack.server, "state": "Off"})].__eq__)
    rest.ask("DELETE", SERVER.path(None, rack.server))
    eventually(told, [("ServerNotBound", {})].__eq__)
    rest.ask("DELETE", MACHINEIMAGE.path(None, image))
