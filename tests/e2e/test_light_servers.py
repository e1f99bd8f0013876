"""Light servers: the control plane's whole path with machines that boot at once."""

import json
from collections.abc import Iterator

import pytest

from provider.api.names import ANNOTATION_FINISHED_POWER_REQUEST
from provider.bmc.endpoint import Endpoint
from sandbox import inventory
from sandbox.errors import AnotherShape
from sandbox.fleet.paths import STORAGE_SOCKET
from sandbox.inventory import LIGHT_TENANT
from sandbox.lightcloud import LightCloud
from tests.conformance.bmc.bmc_rig import Ipmitool
from tests.conformance.spdk.wire import Wire
from tests.e2e.tenant import Json
from tests.waiting import wait_for

SERVERS = 6
_SETTLES_S = 90.0


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightCloud]:
    cloud = LightCloud(tmp_path_factory.mktemp("fleet"), servers=SERVERS)
    try:
        cloud.up()
        yield cloud
    finally:
        cloud.down()


def machine(number: int) -> Json:
    spec = {
        "instanceType": "small",
        "runStrategy": "Always",
        "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi"}],
        "networkInterfaces": [
            {"name": "eth0", "network": LIGHT_TENANT.name, "address": f"10.20.1.{number}/16"},
        ],
    }
    metadata = {"name": f"bm-{number}", "namespace": LIGHT_TENANT.name}
    return {"apiVersion": "metalplane.io/v1alpha1", "kind": "BareMetalMachine", "metadata": metadata, "spec": spec}


def statuses(cloud: LightCloud) -> list[str]:
    items = cloud.kubectl.get("bmm", f"--namespace={LIGHT_TENANT.name}")["items"]
    return [item.get("status", {}).get("printableStatus", "") for item in items]


def left_on_storage(cloud: LightCloud) -> list[str]:
    """Volumes, without the golden image's snapshot."""
    with Wire(cloud.layout.run / STORAGE_SOCKET) as storage:
        lvols = storage.call("bdev_lvol_get_lvols")
    return [lvol["name"] for lvol in lvols if not lvol["is_snapshot"]]


def restart(cloud: LightCloud, action: str) -> Json:
    """Have the first machine's server restarted, as bm-api does; what became of it, once that is written down."""
    (power,) = (each for each in cloud.kubectl.get("powerstates", "--all-namespaces")["items"] if of_server0(each))
    identity = {key: power["metadata"][key] for key in ("name", "namespace")}
    request = {"id": f"once-{action}".lower(), "action": action, "requestedAt": "2026-01-01T10:00:00Z"}
    asked = {"apiVersion": power["apiVersion"], "kind": "PowerState", "metadata": identity}
    apply = ("apply", "--server-side", "--field-manager=metalplane-api", "-f", "-")
    cloud.kubectl.run(*apply, stdin=json.dumps(asked | {"spec": {"forProvider": {"request": request}}}))

    def now() -> Json:
        return cloud.kubectl.get(f"powerstate/{identity['name']}", f"--namespace={identity['namespace']}")

    def is_over() -> bool:
        progress = now()["status"]["atProvider"].get("request", {})
        return progress.get("id") == request["id"] and "finishedAt" in progress

    wait_for(is_over, f"{action} is over", _SETTLES_S)
    power = now()
    assert power["metadata"]["annotations"][ANNOTATION_FINISHED_POWER_REQUEST] == request["id"]
    assert power["spec"]["forProvider"]["request"]["id"] == request["id"], "the engine left it alone"
    over: Json = power["status"]["atProvider"]["request"]
    return over


def of_server0(power: Json) -> bool:
    return bool(power["status"]["atProvider"].get("serverName") == "server0")


def test_machines_run_are_held_to_their_power_and_leave_nothing(fleet: LightCloud) -> None:
    fleet.kubectl.apply([machine(number) for number in range(SERVERS)])
    wait_for(lambda: statuses(fleet) == ["Running"] * SERVERS, "all run", _SETTLES_S)
    assert len(left_on_storage(fleet)) == SERVERS

    server = fleet.kubectl.get("server/server0")["spec"]
    bmc = Ipmitool(Endpoint("127.0.0.1", server["bmc"]["port"], inventory.BMC_USER, fleet.bmc_password(0)))
    assert bmc.powered()
    bmc("chassis", "power", "off")
    wait_for(bmc.powered, "its agent sees the disks closed, and the power is put back", _SETTLES_S)

    for action in ("PowerCycle", "GracefulRestart", "ForceRestart"):
        assert restart(fleet, action)["phase"] == "Succeeded"
        assert bmc.powered()
    wait_for(lambda: statuses(fleet) == ["Running"] * SERVERS, "all run again", _SETTLES_S)

    fleet.kubectl.run("delete", "bmm", "--all", f"--namespace={LIGHT_TENANT.name}")
    wait_for(lambda: not left_on_storage(fleet), "no volume is left", _SETTLES_S)
    servers = fleet.kubectl.get("servers.metalplane.io")["items"]
    wait_for(lambda: not bmc.powered(), "the power is off")
    assert [each["spec"].get("claimRef") for each in servers] == [None] * SERVERS
    with pytest.raises(AnotherShape):
        LightCloud(fleet.layout.directory, servers=SERVERS + 1).up()
