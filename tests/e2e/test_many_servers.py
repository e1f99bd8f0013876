"""Several machines at once: a server and a DPU for each, one storage node for all, two tenants' networks."""

from collections.abc import Iterator
from functools import partial

import pytest

from sandbox.cloud import Cloud
from sandbox.errors import AnotherShape
from sandbox.inventory import FIRST_TENANT, SECOND_TENANT
from sandbox.targets import from_environment
from tests.e2e.tenant import BOOT_S, NAMESPACE, Json, Tenant, patch
from tests.waiting import wait_for

FIRST, SECOND = "10.20.0.11", "10.20.0.12"
"""Of the two machines, on the first tenant's network."""

ELSEWHERE = "10.30.0.12"
"""Of the second machine, on the second tenant's network."""


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud with two servers, beside the one with a single server that the other tests share."""
    named = from_environment(servers=1)
    if named is not None and named.are_one:
        pytest.skip("one process is the storage node and the only DPU")
    cloud = Cloud(tmp_path_factory.mktemp("pair"), servers=2)
    try:
        cloud.up()
        yield cloud
    finally:
        cloud.down()


def test_two_machines_run_on_two_servers_and_share_one_network_of_two(pair: Cloud) -> None:
    other = SECOND_TENANT.name
    patch(pair, f"network/{other}", {"spec": {"allowedNamespaces": [NAMESPACE, other]}})
    tenant = Tenant(pair)
    both = [nic("eth0", FIRST_TENANT.name, SECOND), nic("eth1", other, ELSEWHERE)]
    machines = [
        tenant.apply("bm-01", networkInterfaces=[nic("eth0", FIRST_TENANT.name, FIRST)]),
        tenant.apply("bm-02", networkInterfaces=both),
    ]
    for machine in machines:
        machine.wait_running(2 * BOOT_S)
    assert {machine.get()["status"]["serverName"] for machine in machines} == {"server0", "server1"}
    first = machines[0]
    for address in (FIRST, SECOND, ELSEWHERE):
        wait_for(partial(first.answers, address), f"an answer of {address}")
    wait_for(lambda: first.lets_in(FIRST), "the first logs in")
    assert "1 packets received" in first.run(f"ping -c1 -W5 {SECOND}", FIRST), "from DPU to DPU"
    assert "0 packets received" in first.run(f"ping -c1 -W1 {ELSEWHERE} || true", FIRST), "no way between two networks"

    for machine in machines:
        machine.delete()
    for machine in machines:
        machine.wait_gone()
    held = [server["spec"].get("claimRef") for server in pair.kubectl.get("servers.metalplane.io")["items"]]
    assert held == [None, None]
    with pytest.raises(AnotherShape, match="is there with 2"):
        Cloud(pair.layout.directory, servers=1).up()


def nic(name: str, network: str, address: str) -> Json:
    return {"name": name, "network": network, "address": f"{address}/24"}
