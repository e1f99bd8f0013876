"""Two machines at once with Debian 12: a server and a DPU for each, one storage node for all, two tenants' networks.

What cloud-init is asked for is looked at over SSH, as the tenant would.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from sandbox.cloud import Cloud
from sandbox.errors import AnotherShape
from sandbox.inventory import FIRST_TENANT, SECOND_TENANT
from sandbox.targets import from_environment
from tests.e2e.tenant import NAMESPACE, Json, Machine, Tenant, patch
from tests.waiting import wait_for

FIRST, SECOND = "10.20.0.11", "10.20.0.12"
"""Of the two machines, on the first tenant's network."""

ELSEWHERE = "10.30.0.12"
"""Of the second machine, on the second tenant's network."""

NAME_SERVER = "192.0.2.53"
USER_DATA = "bm-02-user-data"
DISK_BYTES = 4 << 30
UP_S = 600.0
"""All of a first boot of Debian, twice at once, instruction by instruction and beside other tests."""


@dataclass(frozen=True)
class Pair:
    """``first`` has one NIC and no user data; ``second`` has both networks, and user data."""

    cloud: Cloud
    first: Machine
    second: Machine


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A cloud with two servers, beside the one with a single server that the other tests share."""
    named = from_environment(servers=1)
    if named is not None and named.are_one:
        pytest.skip("one process is the storage node and the only DPU")
    cloud = Cloud(tmp_path_factory.mktemp("pair"), servers=2, image="debian")
    try:
        cloud.up()
        yield brought_up(cloud)
    finally:
        cloud.down()


def brought_up(cloud: Cloud) -> Pair:
    """Both machines, once cloud-init is done; the second one's user data comes late."""
    other = SECOND_TENANT.name
    patch(cloud, f"network/{FIRST_TENANT.name}", {"spec": {"nameServers": [NAME_SERVER]}})
    patch(cloud, f"network/{other}", {"spec": {"allowedNamespaces": [NAMESPACE, other]}})
    tenant = Tenant(cloud)
    keys = {"sshAuthorizedKeys": [tenant.public_key()]}
    second = apply(
        tenant,
        "bm-02",
        [nic("eth0", FIRST_TENANT.name, SECOND), nic("eth1", other, ELSEWHERE)],
        cloudInit=keys | {"userDataSecretRef": {"name": USER_DATA}},
    )
    first = apply(tenant, "bm-01", [nic("eth0", FIRST_TENANT.name, FIRST)])
    told = second.wait_reason("SecretNotFound")
    assert f"Secret {USER_DATA} with the user data does not exist: make it, with key userData" in told["message"]
    tenant.kubectl.apply([user_data(tenant.public_key())])
    for machine, address in ((first, FIRST), (second, SECOND)):
        machine.wait_running(UP_S)
        wait_for(partial(machine.lets_in, address), f"{machine.name} lets its tenant in", UP_S)
        wait_for(partial(cloud_init_is_done, machine, address), f"cloud-init is done on {machine.name}", UP_S)
    return Pair(cloud, first, second)


def apply(tenant: Tenant, name: str, nics: Sequence[Json], **spec: Any) -> Machine:
    disks = [{"name": "root", "boot": True, "image": "debian", "size": "4Gi"}]
    return tenant.apply(name, disks=disks, networkInterfaces=nics, terminationGracePeriodSeconds=600, **spec)


def nic(name: str, network: str, address: str) -> Json:
    return {"name": name, "network": network, "address": f"{address}/24"}


def user_data(key: str) -> Json:
    """A Secret as ``kubectl create secret generic --from-file=userData=…`` makes it."""
    wanted = {
        "users": ["default", {"name": "alice", "shell": "/bin/bash", "ssh_authorized_keys": [key]}],
        "write_files": [{"path": "/etc/told", "content": "by the seed\n", "permissions": "0640"}],
        "runcmd": [["sh", "-c", "id -un alice > /root/ran"]],
    }
    metadata = {"name": USER_DATA, "namespace": NAMESPACE}
    text = f"#cloud-config\n{json.dumps(wanted)}\n"
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"userData": text}}


def cloud_init_is_done(machine: Machine, address: str) -> bool:
    # Without --wait: one command over SSH has less time than cloud-init.
    return "status: running" not in machine.run("cloud-init status || true", address)


def test_they_run_on_two_servers_and_share_one_network_of_two(pair: Pair) -> None:
    assert {each.get()["status"]["serverName"] for each in (pair.first, pair.second)} == {"server0", "server1"}
    for address in (FIRST, SECOND, ELSEWHERE):
        assert pair.first.answers(address)
    assert "1 received" in pair.first.run(f"ping -c1 -W5 {SECOND}", FIRST), "from DPU to DPU"
    assert "0 received" in pair.first.run(f"ping -c1 -W1 {ELSEWHERE} || true", FIRST), "no way between two networks"


@pytest.mark.parametrize("address", [FIRST, SECOND])
def test_cloud_init_ended_in_done_with_no_error_and_no_warning(pair: Pair, address: str) -> None:
    status = json.loads(pair.first.run("cloud-init status --wait --format json", address))
    assert (status["status"], status["errors"], status["datasource"]) == ("done", [], "nocloud")
    assert status.get("recoverable_errors", {}) == {}
    assert pair.first.run("grep WARN /var/log/cloud-init.log || true", address) == ""
    assert pair.first.run("systemctl --failed --plain --no-legend", address) == ""


@pytest.mark.parametrize(("name", "address"), [("bm-01", FIRST), ("bm-02", SECOND)])
def test_it_has_its_machines_name_and_lets_its_default_user_in_by_key(pair: Pair, name: str, address: str) -> None:
    assert pair.first.run("hostname", address, user="debian").strip() == name
    assert pair.first.run("sudo id -un", address, user="debian").strip() == "root"


def test_user_data_made_a_user_wrote_a_file_and_ran_a_command(pair: Pair) -> None:
    assert pair.second.run("echo $SHELL; id -un", SECOND, user="alice").split() == ["/bin/bash", "alice"]
    assert pair.second.run("cat /etc/told; stat -c %a /etc/told", SECOND) == "by the seed\n640\n"
    assert pair.second.run("cat /root/ran", SECOND) == "alice\n"


def test_each_nic_has_its_address_by_no_dhcp(pair: Pair) -> None:
    links = json.loads(pair.second.run("ip -json -4 address show scope global", SECOND))
    addresses = {link["ifname"]: [(each["local"], each["prefixlen"]) for each in link["addr_info"]] for link in links}
    assert addresses == {"eth0": [(SECOND, 24)], "eth1": [(ELSEWHERE, 24)]}
    assert [link["mtu"] for link in links] == [1500, 1500]
    routes = json.loads(pair.second.run("ip -json route show default", SECOND))
    assert [(route["dev"], route["gateway"]) for route in routes] == [("eth0", FIRST_TENANT.gateway)]
    assert f"(eth0): {NAME_SERVER}" in pair.second.run("resolvectl dns", SECOND)
    assert pair.second.run("ls /run/systemd/netif/leases; pgrep -a dhc || true", SECOND) == "", "leases and clients"
    assert set(pair.second.run("grep -h DHCP= /etc/systemd/network/*", SECOND).split()) == {"DHCP=no"}


@pytest.mark.parametrize("address", [FIRST, SECOND])
def test_its_root_file_system_has_grown_to_its_disk(pair: Pair, address: str) -> None:
    disk, root = map(
        int, pair.first.run("lsblk -bdno SIZE /dev/vda; df -B1 --output=size / | tail -1", address).split()
    )
    assert disk == DISK_BYTES
    assert root > 0.95 * DISK_BYTES


def test_it_shuts_down_from_inside_and_by_run_strategy_and_is_never_forced(pair: Pair) -> None:
    pair.first.patch({"runStrategy": "Halted"})
    pair.second.patch({"runStrategy": "Manual"})
    pair.second.run("systemd-run --on-active=1 poweroff", SECOND)
    for machine in (pair.first, pair.second):
        machine.wait_status("Stopped", within_s=UP_S)
        number = machine.get()["status"]["serverName"].removeprefix("server")
        console = (pair.cloud.layout.server(int(number)) / "console.log").read_text(errors="replace")
        assert console.rstrip().endswith("reboot: Power down")
    events = pair.cloud.kubectl.run("get", "events", "-n", NAMESPACE, "-o", "jsonpath={.items[*].message}")
    assert "GracefulShutdown" in events
    assert "ForceOff" not in events


def test_they_go_and_both_servers_are_free(pair: Pair) -> None:
    machines = (pair.first, pair.second)
    for machine in machines:
        machine.delete()
    for machine in machines:
        machine.wait_gone()
    held = [server["spec"].get("claimRef") for server in pair.cloud.kubectl.get("servers.metalplane.io")["items"]]
    assert held == [None, None]
    with pytest.raises(AnotherShape, match="is there with 2"):
        Cloud(pair.cloud.layout.directory, servers=1).up()
