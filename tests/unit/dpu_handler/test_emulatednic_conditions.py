"""What the agent says of a NIC: plugged, and whether its machine answers."""

from collections.abc import AsyncIterator

import pytest

from dpu_handler.controllers.device import LOOK_AGAIN, RETRY
from dpu_handler.controllers.emulatednic import EmulatedNICController
from dpu_handler.execution import ports
from dpu_handler.probe import prober, vlan
from dpu_handler.probe.arp import Announcement
from dpu_handler.probe.prober import ARPProber
from dpu_handler.southbound import ConnectionLost
from provider.api.resources import EMULATEDNIC
from provider.runtime.controller import Json, Key, Settled
from tests.unit.dpu_handler.agent_bench import ApiServer, Bench, device
from tests.unit.dpu_handler.model_dpu import Fault, ModelDpu

MAC, ADDRESS, VLAN = "52:54:00:aa:bb:01", "10.99.0.11", 100


class SilentPort(vlan.ProbePort):
    """A probe port without a network device behind it: it sends nothing and hears nothing."""

    async def ask(self, address: str) -> None:
        """Nobody is there to be asked."""


class Nics(Bench):
    """The bench with the controller's prober at hand."""

    def __init__(self, controller: EmulatedNICController, api: ApiServer, model: ModelDpu) -> None:
        super().__init__(EMULATEDNIC, controller, api, model)
        assert isinstance(controller.prober, ARPProber)
        self.prober = controller.prober

    def hears(self, mac: str = MAC) -> None:
        self.prober._heard(VLAN, Announcement(ADDRESS, mac))

    def link(self, *, up: bool) -> None:
        for row in self.model.tables["Interface"].values():
            row["link_state"] = "up" if up else "down"

    async def reachability(self, key: Key) -> str:
        await self.reconcile(key)
        state: str = self.status(key)["reachability"]["state"]
        return state


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nics]:
    monkeypatch.setattr(prober, "ProbePort", SilentPort)
    api, model = ApiServer(), ModelDpu()
    controller = EmulatedNICController(api.runtime(), model.clients())
    yield Nics(controller, api, model)
    controller.prober.close()


def nic(name: str = "eth0", *, slot: int = 3, representor: str = "vm0", addresses: tuple[str, ...] = ()) -> Json:
    spec = {
        "nicSlot": slot,
        "representor": representor,
        "mac": MAC.upper(),
        "network": {"name": "blue", "vlan": VLAN, "mtu": 1500},
        "addresses": list(addresses),
    }
    return device(EMULATEDNIC, name, spec)


async def ready(bench: Nics) -> Key:
    key = bench.api.put(EMULATEDNIC, nic(addresses=(f"{ADDRESS}/24",)))
    assert await bench.reconcile(key) == Settled()
    return key


async def test_a_nic_that_is_plugged_is_ready_whether_or_not_its_machine_answers(bench: Nics) -> None:
    key = await ready(bench)
    assert bench.conditions(key) == {"Plugged": ("True", ""), "Ready": ("True", "")}
    assert bench.status(key)["reachability"]["state"] == "Unreachable"
    assert (bench.status(key)["ofport"], bench.status(key)["linkUp"]) == (1, True)
    assert bench.model.functions[3]["mac"] == MAC


@pytest.mark.parametrize("at", [0, 1])
async def test_what_failed_is_said_and_made_at_the_next_look(bench: Nics, at: int) -> None:
    bench.model.fault = Fault(at, executed=False)
    key = bench.api.put(EMULATEDNIC, nic())
    assert await bench.reconcile(key) == RETRY
    assert "connection was lost" in bench.conditions(key)["Ready"][1]
    assert await bench.reconcile(key) == Settled()


async def test_a_nic_on_its_way_out_is_neither_plugged_nor_ready(bench: Nics) -> None:
    key = await ready(bench)
    bench.model.functions[3]["state"] = "unplugging"
    assert await bench.reconcile(key) == RETRY
    assert {status for status, _ in bench.conditions(key).values()} == {"False"}


async def test_a_port_that_was_removed_or_retagged_is_put_back(bench: Nics) -> None:
    key = await ready(bench)
    await ports.remove(bench.model.clients(), "vm0")
    assert await bench.reconcile(key) == Settled()
    (port,) = bench.model.tables["Port"].values()
    port["tag"] = 4000
    assert await bench.reconcile(key) == Settled()
    assert bench.model.port("vm0")["tag"] == VLAN


async def test_a_bridge_that_is_missing_is_named_with_what_to_do(bench: Nics) -> None:
    bench.model.tables["Bridge"].clear()
    key = bench.api.put(EMULATEDNIC, nic())
    assert await bench.reconcile(key) == RETRY
    status, message = bench.conditions(key)["Ready"]
    assert (status, "bridge br0 does not exist" in message) == ("False", True)
    assert "ovs-vsctl add-br br0" in message


async def test_an_answer_makes_it_reachable_and_a_pulled_cable_does_not(bench: Nics) -> None:
    key = await ready(bench)
    bench.hears()
    assert await bench.reachability(key) == "Reachable"
    bench.link(up=False)
    assert await bench.reachability(key) == "Unreachable"
    assert bench.status(key)["linkUp"] is False


async def test_another_machines_answer_for_the_address_counts_for_nothing(bench: Nics) -> None:
    key = await ready(bench)
    bench.hears(mac="52:54:00:aa:bb:99")
    assert await bench.reachability(key) == "Unreachable"


async def test_a_restarted_agent_believes_what_was_known_until_it_has_asked(bench: Nics) -> None:
    key = await ready(bench)
    bench.hears()
    since = (await bench.reachability(key), bench.status(key)["reachability"]["since"])
    again = EmulatedNICController(bench.api.runtime(), bench.model.clients())
    await again.reconcile(key)
    assert (bench.status(key)["reachability"]["state"], bench.status(key)["reachability"]["since"]) == since
    again.prober.close()


async def test_a_changed_verdict_brings_its_nic(bench: Nics) -> None:
    key, announced = await ready(bench), list[str]()
    bench.api.cache.subscribe(lambda _, obj: announced.append(obj["metadata"]["name"]))
    bench.hears()
    bench.hears()
    assert announced == [key.name]


async def test_a_removed_nic_leaves_no_port_behind(bench: Nics) -> None:
    key = await ready(bench)
    bench.delete(key)
    assert await bench.reconcile(key) == Settled()
    assert bench.conditions(key)["Removed"] == ("True", "")
    assert (bench.model.ports(), bench.model.functions) == ([], {})


async def test_the_probe_port_of_an_agent_that_was_killed_goes_with_the_last_nic_of_its_vlan(bench: Nics) -> None:
    dpu = bench.model.clients()
    left = vlan.port_name(VLAN)
    await dpu.ovsdb.transact_and_apply(ports.insert(dpu.bridge, left, VLAN, {"name": left, "type": "internal"}))
    other = bench.api.put(EMULATEDNIC, nic("eth1", slot=4, representor="vm1", addresses=("10.99.0.12/24",)))
    first = bench.api.put(EMULATEDNIC, nic(addresses=(f"{ADDRESS}/24",)))
    await bench.reconcile(other)
    for key, remaining in ((first, [left, "vm1"]), (other, [])):
        bench.delete(key)
        assert await bench.reconcile(key) == Settled()
        assert bench.model.ports() == remaining


async def test_a_nic_that_is_gone_without_its_removal_is_asked_for_no_more(bench: Nics) -> None:
    key = await ready(bench)
    await put_probe_port(bench)
    bench.lose(key)
    assert await bench.reconcile(key) == Settled()
    assert bench.prober.reachability("uid-eth0") is None
    assert bench.model.ports() == ["vm0"], "what the server sees is an orphan from now on"


async def test_a_nic_that_was_made_anew_under_its_name_is_the_only_one_asked_for(bench: Nics) -> None:
    key = await ready(bench)
    bench.lose(key)
    again = nic(addresses=(f"{ADDRESS}/24",))
    again["metadata"]["uid"] = "uid-again"
    bench.api.put(EMULATEDNIC, again)
    await bench.reconcile(key)
    assert bench.prober.reachability("uid-eth0") is None
    assert bench.prober.reachability("uid-again") is not None


async def test_a_probe_port_that_cannot_be_removed_with_a_lost_nic_is_removed_soon(
    bench: Nics, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await ready(bench)
    bench.lose(key)
    removed: list[str] = []

    async def fails(port: vlan.ProbePort) -> None:
        removed.append(port._name)
        if len(removed) == 1:
            raise ConnectionLost("transact", executed="no")

    monkeypatch.setattr(vlan.ProbePort, "remove", fails)
    assert await bench.reconcile(key) == LOOK_AGAIN
    assert await bench.reconcile(key) == Settled()
    assert removed == [vlan.port_name(VLAN)] * 2


def move(bench: Nics, key: Key, vlan: int) -> None:
    """The NIC's network changes its VLAN."""
    obj = bench.api.cache.get(EMULATEDNIC, key)
    assert obj is not None
    spec = obj["spec"] | {"network": {**obj["spec"]["network"], "vlan": vlan}}
    bench.api.put(EMULATEDNIC, {**obj, "metadata": dict(obj["metadata"]), "spec": spec})


async def put_probe_port(bench: Nics) -> str:
    name = vlan.port_name(VLAN)
    await ports.put(bench.model.clients(), name, VLAN, {"name": name, "type": "internal"})
    return name


async def test_the_last_nic_that_moves_to_another_vlan_takes_the_old_probe_port_with_it(bench: Nics) -> None:
    left = await put_probe_port(bench)
    other = bench.api.put(EMULATEDNIC, nic("eth1", slot=4, representor="vm1", addresses=("10.99.0.12/24",)))
    keys = (await ready(bench), other)
    await bench.reconcile(other)
    for key, remaining in zip(keys, ([left, "vm0", "vm1"], ["vm0", "vm1"]), strict=True):
        move(bench, key, 200)
        assert await bench.reconcile(key) == Settled()
        assert bench.model.ports() == remaining


async def test_an_old_probe_port_that_could_not_be_removed_goes_at_the_next_look(bench: Nics) -> None:
    left = await put_probe_port(bench)
    key = await ready(bench)
    move(bench, key, 200)
    retagged = len(bench.model.changes)
    bench.model.fault = Fault(retagged + 1, executed=False)
    assert await bench.reconcile(key) == LOOK_AGAIN
    assert bench.model.ports() == [left, "vm0"]
    assert bench.conditions(key)["Ready"] == ("True", "")
    assert await bench.reconcile(key) == Settled()
    assert bench.model.ports() == ["vm0"]


async def test_a_removal_that_waits_for_the_server_says_so(bench: Nics) -> None:
    bench.model.powered, bench.model.clinging = True, {3}
    key = await ready(bench)
    bench.delete(key)
    assert await bench.reconcile(key) == RETRY
    said = (
        "the server's operating system has not let go of the NIC in slot 3, asked at 2026-11-24 00:00:00Z: "
        "stop using it there, or force it with `bmctl removenic --force`"
    )
    assert bench.conditions(key)["Removed"] == ("False", said)
    assert bench.model.ports() == ["vm0"]


@pytest.mark.parametrize("can", [True, False])
async def test_a_nic_that_is_forced_is_gone_or_says_what_frees_it(bench: Nics, can: bool) -> None:
    bench.model.powered, bench.model.clinging, bench.model.forced = True, {3}, {3: can}
    key = await ready(bench)
    bench.force(key)
    bench.delete(key)
    await bench.reconcile(key)
    status, message = bench.conditions(key)["Removed"]
    assert bench.model.ports() == ([] if can else ["vm0"])
    assert status == str(can)
    assert ("switch the server off to free the slot" in message) is not can


async def test_a_nic_that_comes_and_goes_is_two_events_however_often_it_is_looked_at(bench: Nics) -> None:
    key = await ready(bench)
    bench.hears()
    await bench.reconcile(key)
    bench.delete(key)
    await bench.reconcile(key)
    await bench.reconcile(key)
    assert [reason for _, _, reason, _ in bench.api.events.recorded] == ["DevicePlugged", "DeviceUnplugged"]
