"""One server, two tenants: whatever the first one does, the second finds the server off, and starts it itself."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from provider.api.resources import (
    BAREMETALMACHINE,
    EMULATEDDISK,
    EMULATEDNIC,
    MACHINEIMAGE,
    NAMESPACE,
    NETWORK,
    POWERSTATE,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    ResourceType,
)
from provider.bmc.errors import BMCUnreachable
from provider.bmc.power import PowerReading
from provider.runtime.controller import Json
from tests.unit.controllers.rig import ControlPlane, PlayedBMC, claim
from tests.unit.provider_csi.storage import image

GOING = {"deletionTimestamp": "2026-01-01T11:00:00Z"}


class CountingBMC(PlayedBMC):
    """Counts what it is asked, and can fall silent."""

    reads = 0
    silent = False

    async def read_power(self) -> PowerReading:
        self.reads += 1
        if self.silent:
            raise BMCUnreachable("192.0.2.1", "read the power", "no answer")
        return await super().read_power()


class Shared(ControlPlane):
    """A server that two tenants may hold in turn; a tenant may do as he likes with his own disks."""

    def __init__(self) -> None:
        super().__init__()
        self.bmc: CountingBMC = CountingBMC(self.fuse)
        self.restart()
        self.cluster.have(NAMESPACE, {"metadata": {"name": "tenant-b"}, "spec": {"finalizers": ["kubernetes"]}})
        self.cluster.have(MACHINEIMAGE, image(allowed=("tenant-a", "tenant-b")))
        network = {"vlan": 200, "subnet": "10.30.0.0/24", "allowedNamespaces": ["tenant-b"]}
        self.cluster.have(NETWORK, {"metadata": {"name": "tenant-b"}, "spec": network})

    def check(self) -> None:
        """A server that is on is never free."""
        on = self.bmc.power is PowerReading.ON
        assert not on or self.holder is not None, "a server is free while it is on"

    @property
    def holder(self) -> str | None:
        (server,) = self.all(SERVER)
        reference = server["spec"].get("claimRef")
        return reference and str(reference["namespace"])

    def edit(self, resource: ResourceType, namespace: str | None, change: Callable[[Json], object]) -> None:
        for obj in self.all(resource):
            if obj["metadata"].get("namespace") == namespace:
                edited = deepcopy(obj)
                change(edited)
                self.cluster.have(resource, edited)

    def delete(self, resource: ResourceType, namespace: str) -> None:
        self.edit(resource, namespace, lambda obj: obj["metadata"].update(GOING))

    def of(self, resource: ResourceType, namespace: str) -> Json:
        (found,) = [each for each in self.all(resource) if each["metadata"]["namespace"] == namespace]
        return found


def second() -> Json:
    other = claim()
    other["metadata"] |= {"namespace": "tenant-b", "uid": "66666666-2222-3333-4444-555555555555"}
    other["spec"]["networkInterfaces"][0]["network"] = "tenant-b"
    return other


async def held_by_the_first() -> Shared:
    plane = Shared()
    plane.cluster.have(BAREMETALMACHINE, claim())
    await plane.settle()
    assert plane.bmc.commands == ["On"]
    return plane


def close_the_server(plane: Shared) -> None:
    plane.edit(SERVER, None, lambda server: server["spec"].update(allowedNamespaces=["tenant-b"]))


def point_the_power_elsewhere(plane: Shared) -> None:
    def change(power: Json) -> None:
        power["spec"]["forProvider"]["serverClaimRef"] = {"name": "another"}

    plane.edit(POWERSTATE, "tenant-a", change)


def keep_the_power(plane: Shared) -> None:
    policies = ["Observe", "Create", "Update", "LateInitialize"]
    plane.edit(POWERSTATE, "tenant-a", lambda power: power["spec"].update(managementPolicies=policies))


def disown_the_power(plane: Shared) -> None:
    plane.edit(POWERSTATE, "tenant-a", lambda power: power["metadata"].update(ownerReferences=[]))


@pytest.mark.parametrize(
    ("trick", "cut"),
    [
        (close_the_server, "GracefulShutdown"),
        (point_the_power_elsewhere, "ForceOff"),
        (keep_the_power, "ForceOff"),
        (disown_the_power, "ForceOff"),
    ],
)
async def test_the_server_is_off_when_the_next_tenant_gets_it(trick: Callable[[Shared], None], cut: str) -> None:
    plane = await held_by_the_first()
    plane.cluster.have(BAREMETALMACHINE, second())
    trick(plane)
    plane.delete(BAREMETALMACHINE, "tenant-a")
    await plane.settle()
    assert plane.holder == "tenant-b"
    assert plane.bmc.commands == ["On", cut, "On"]
    assert plane.of(BAREMETALMACHINE, "tenant-b")["status"]["printableStatus"] == "Running"


async def test_a_release_reads_the_power_once_and_tells_only_the_server() -> None:
    plane = await held_by_the_first()
    plane.delete(BAREMETALMACHINE, "tenant-a")
    while plane.all(EMULATEDDISK) or plane.all(EMULATEDNIC) or plane.all(POWERSTATE):
        await plane.turn()
        assert plane.holder == "tenant-a"
    plane.bmc.reads = 0
    plane.cluster.writes.clear()
    await plane.settle()
    assert (plane.holder, plane.bmc.reads) == (None, 1)
    assert [write[2] for write in plane.cluster.writes if write[1] == "Server"] == ["server-1"]


async def test_a_silent_bmc_holds_up_the_release_until_it_answers() -> None:
    plane = await held_by_the_first()
    keep_the_power(plane)
    plane.delete(BAREMETALMACHINE, "tenant-a")
    plane.bmc.silent = True
    for _ in range(10):
        await plane.turn()
    (left,) = plane.all(SERVERCLAIM)
    told = {each["type"]: each for each in left["status"]["conditions"]}
    assert (told["Synced"]["status"], told["Ready"]["reason"]) == ("False", "BMCUnreachable")
    assert "Server server-1: read the power at BMC 192.0.2.1: no answer" in told["Ready"]["message"]
    assert plane.holder == "tenant-a"
    plane.bmc.silent = False
    await plane.settle()
    assert plane.bmc.power is PowerReading.OFF
    assert plane.all(SERVERCLAIM) == []


async def test_a_server_that_comes_into_the_inventory_switched_on_is_switched_off_and_then_started() -> None:
    plane = Shared()
    plane.cluster.have(BAREMETALMACHINE, claim())
    while plane.holder is None:
        await plane.turn()
    plane.bmc.power = PowerReading.ON
    plane.bmc.asked = None
    plane.edit(POWERSTATE, "tenant-a", lambda power: power.pop("status", None))
    plane.restart()
    await plane.turn()
    assert plane.of(POWERSTATE, "tenant-a")["status"]["atProvider"]["foundOn"] is True
    await plane.settle()
    assert plane.bmc.commands == ["ForceOff", "On"]
    assert "foundOn" not in plane.of(POWERSTATE, "tenant-a")["status"]["atProvider"]


async def test_a_machine_that_runs_is_not_switched_off_when_the_status_of_power_and_disks_is_lost() -> None:
    plane = await held_by_the_first()
    for resource in (POWERSTATE, VIRTUALDISK, SERVERCLAIM):
        plane.edit(resource, "tenant-a", lambda obj: obj.pop("status", None))
    plane.edit(EMULATEDDISK, "metalplane-dpu-dpu-1", lambda disk: disk.pop("status", None))
    plane.restart()
    await plane.settle()
    assert plane.bmc.commands == ["On"]
