"""Several machines at once: a server and a DPU for each, one storage node and one tenant network for all."""

from collections.abc import Iterator
from functools import partial

import pytest

from sandbox.cloud import Cloud
from sandbox.errors import AnotherSize
from tests.e2e.tenant import BOOT_S, Machine, Tenant
from tests.waiting import wait_for

ADDRESSES = {"bm-01": "10.20.0.11", "bm-02": "10.20.0.12"}


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud with two servers, beside the one with a single server that the other tests share."""
    cloud = Cloud(tmp_path_factory.mktemp("pair"), servers=2)
    try:
        cloud.up()
        yield cloud
    finally:
        cloud.down()


def test_two_machines_run_on_two_servers_and_reach_each_other(pair: Cloud) -> None:
    tenant = Tenant(pair)
    machines = [apply(tenant, name, address) for name, address in ADDRESSES.items()]
    for machine in machines:
        machine.wait_running(2 * BOOT_S)
    assert {machine.get()["status"]["serverName"] for machine in machines} == {"server0", "server1"}
    first, second = ADDRESSES.values()
    for machine in machines:
        wait_for(partial(machine.answers, ADDRESSES[machine.name]), f"an answer of {machine.name}")
    wait_for(lambda: machines[0].lets_in(first), "the first logs in")
    assert "1 packets received" in machines[0].run(f"ping -c1 -W5 {second}", first), "from DPU to DPU"

    for machine in machines:
        machine.delete()
    for machine in machines:
        machine.wait_gone()
    held = [server["spec"].get("claimRef") for server in pair.kubectl.get("servers.metalplane.io")["items"]]
    assert held == [None, None]
    with pytest.raises(AnotherSize, match="is there with 2"):
        Cloud(pair.layout.directory, servers=1).up()


def apply(tenant: Tenant, name: str, address: str) -> Machine:
    interface = {"name": "eth0", "network": "tenant-a", "address": f"{address}/24"}
    return tenant.apply(name, networkInterfaces=[interface])
