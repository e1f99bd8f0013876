"""Stories of a VirtualNIC: slot, MAC and address are decided once and found again; two NICs never share an address."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.names import dpu_namespace, emulated_nic, mac_address
from provider.api.network import Network
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDNIC
from provider.api.virtualnic import VirtualNIC
from provider.planning.action import ApplyObject, DeleteObject
from provider.planning.emulated import Departure
from provider.planning.tenancy import NoHold
from provider.planning.virtualnic import Neighbour, NICPlan, World, plan
from tests.unit.planning.builders import (
    DELETED,
    MACHINE_UID,
    NAMESPACE,
    REFUSED,
    UNBOUND,
    Json,
    child,
    condition,
    hold_on,
    obj,
)
from tests.unit.planning.model_api import ModelApi, at_rest, merged

DPU = dpu_namespace("dpu-of-s1")
LEAVING = Departure(machine_leaves=True, power_states=("PowerState p",))


def nic(name: str = "nic", *, deleted: bool = False, index: int = 0, **parameters: str) -> VirtualNIC:
    wanted = {"network": "tenant-a", "index": index} | parameters
    return VirtualNIC.parse(child("VirtualNIC", name, wanted, **(DELETED if deleted else {})))


def network(subnet: str = "10.20.0.0/29", **spec: object) -> Network:
    known = {"vlan": 100, "subnet": subnet, "gateway": "10.20.0.2", "allowedNamespaces": [NAMESPACE]}
    return Network.parse(obj("Network", "tenant-a", known | spec, namespace=None))


def decide(made: VirtualNIC | None = None, **known: object) -> NICPlan:
    world = World(made or nic(), hold_on(), network())
    return plan(replace(world, **known))  # type: ignore[arg-type]


def asked_spec(decided: NICPlan) -> Json:
    (action,) = decided.actions
    assert isinstance(action, ApplyObject)
    spec: Json = action.body["spec"]
    return spec


def test_a_nic_is_asked_for_with_slot_representor_vlan_mac_and_the_lowest_free_address() -> None:
    spec = asked_spec(decide())
    assert (spec["nicSlot"], spec["representor"]) == (3, "vm0")
    assert spec["network"] == {"name": "tenant-a", "vlan": 100, "mtu": 1500}
    assert spec["mac"] == mac_address(MACHINE_UID, "nic")
    assert spec["addresses"] == ["10.20.0.3/29"], "not the network, not its first host, not the gateway"


def test_what_the_owner_chose_is_taken() -> None:
    chosen = nic(address="10.20.0.5/29", macAddress="02:00:00:00:00:0A")
    spec = asked_spec(decide(chosen))
    assert (spec["addresses"], spec["mac"]) == (["10.20.0.5/29"], "02:00:00:00:00:0a")


@pytest.mark.parametrize("forced", [False, True])
def test_that_a_removal_is_forced_is_told_to_the_dpu(forced: bool) -> None:
    made = nic()
    wanted = made.spec.for_provider.model_copy(update={"force_unplug": forced})
    made = made.model_copy(update={"spec": made.spec.model_copy(update={"for_provider": wanted})})
    assert asked_spec(decide(made))["forceUnplug"] is forced


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("hold", [REFUSED, UNBOUND], ids=["refused", "unbound"])
def test_without_a_hold_nothing_is_asked_of_any_dpu(hold: NoHold, deleted: bool) -> None:
    decided = decide(nic(deleted=deleted), hold=hold)
    assert decided.actions == ()
    assert deleted or decided.synced.status == ("False" if hold.refused else "True")


def test_a_nic_whose_network_was_deleted_works_on_and_says_what_is_missing() -> None:
    made = nic()
    device = obj("EmulatedNIC", emulated_nic(made.metadata.uid), asked_spec(decide(made)), namespace=DPU)
    decided = decide(made, device=device, network=None)
    assert decided.actions == ()
    assert (decided.ready.status, decided.ready.reason) == ("False", Reason.NETWORK_NOT_FOUND)
    assert decided.ready.message.startswith("Network tenant-a does not exist any more: the NIC works on as it is")
    assert decided.seen.addresses == ["10.20.0.3/29"]


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"network": None}, Reason.NETWORK_NOT_FOUND),
        ({"network": network(allowedNamespaces=["tenant-b"])}, Reason.NETWORK_NOT_GRANTED),
        ({"nic": nic(index=2)}, Reason.SLOT_UNAVAILABLE),
        ({"nic": nic(address="10.99.0.5/29")}, Reason.RECONCILE_ERROR),
        ({"nic": nic(address="10.20.0.2/29")}, Reason.RECONCILE_ERROR),
        ({"network": network("10.20.0.0/30")}, Reason.NO_FREE_ADDRESS),
        ({"neighbours": (Neighbour("a", (), mac_address(MACHINE_UID, "nic")),)}, Reason.ADDRESS_IN_USE),
        (
            {"nic": nic(address="10.20.0.5/29"), "neighbours": (Neighbour("a", ("10.20.0.5/29",), "m"),)},
            Reason.ADDRESS_IN_USE,
        ),
    ],
    ids=["no network", "not granted", "no slot", "foreign subnet", "gateway", "full", "MAC twice", "address twice"],
)
def test_what_cannot_be_is_said_and_not_done(known: dict[str, object], reason: Reason) -> None:
    decided = decide(None, **known)
    assert decided.actions == ()
    assert decided.ready.reason is reason
    assert decided.ready.message


def test_a_nic_that_was_deleted_by_hand_and_made_anew_has_the_mac_that_its_machine_knows() -> None:
    anew = VirtualNIC.parse(child("VirtualNIC", "nic", {"network": "tenant-a", "index": 0}, uid="uid-of-the-new-one"))
    assert asked_spec(decide(anew))["mac"] == asked_spec(decide())["mac"]
    assert asked_spec(decide(nic("other")))["mac"] != asked_spec(decide())["mac"]


def test_the_mac_of_a_device_that_is_there_is_kept() -> None:
    device = _device(("10.20.0.6/29",))
    device["spec"]["mac"] = "02:00:00:00:00:77"
    device["metadata"]["labels"] = {}
    assert asked_spec(decide(device=device))["mac"] == "02:00:00:00:00:77"


def test_the_address_of_a_device_is_kept_when_the_status_is_lost_and_lower_ones_become_free() -> None:
    device = _device(("10.20.0.6/29",))
    assert asked_spec(decide(device=device))["addresses"] == ["10.20.0.6/29"]


def test_who_may_not_join_a_network_is_told_nothing_of_it() -> None:
    assert decide(network=network(allowedNamespaces=["tenant-b"])).seen.gateway is None
    assert decide().seen.gateway == "10.20.0.2"


def test_a_nic_that_has_its_device_keeps_its_address_from_one_that_only_asks() -> None:
    wanted = nic(address="10.20.0.5/29")
    newcomer = Neighbour("aaa-lower-uid", ("10.20.0.5/29",), "m", asked=True)
    assert (
        decide(wanted, device=_device(("10.20.0.5/29",)), neighbours=(newcomer,)).ready.reason
        is not Reason.ADDRESS_IN_USE
    )
    assert decide(wanted, neighbours=(newcomer,)).ready.reason is Reason.ADDRESS_IN_USE


@given(st.booleans(), st.booleans(), st.sampled_from([("a", "b"), ("b", "a")]))
def test_of_two_nics_that_want_one_address_exactly_one_gets_it(
    first_has: bool, second_has: bool, uids: tuple[str, str]
) -> None:
    if first_has and second_has:
        return
    served = 0
    for me, other, mine, theirs in ((*uids, first_has, second_has), (*reversed(uids), second_has, first_has)):
        wanted = nic(str(me), address="10.20.0.5/29")
        rival = Neighbour(f"uid-{other}", ("10.20.0.5/29",), "m", asked=not theirs)
        device = _device(("10.20.0.5/29",), uid=f"uid-{me}") if mine else None
        served += decide(wanted, device=device, neighbours=(rival,)).ready.reason is not Reason.ADDRESS_IN_USE
    assert served == 1


def test_an_address_that_others_have_is_looked_for_again_for_nobody_tells() -> None:
    full = tuple(Neighbour(f"n{host}", (f"10.20.0.{host}/29",), f"m{host}") for host in range(1, 7))
    decided = decide(neighbours=full)
    assert decided.ready.reason is Reason.NO_FREE_ADDRESS
    assert decided.look_again_s is not None
    assert decided.synced.status == "True", "it may heal by itself"


def test_a_silent_agent_makes_it_unknown_and_is_named() -> None:
    decided = decide(device=_device(("10.20.0.3/29",)), agent_lost="the agent of DPU d has not been heard of")
    assert (decided.ready.status, decided.ready.reason) == ("Unknown", Reason.AGENT_LOST)


def _device(addresses: tuple[str, ...], uid: str = "uid-nic") -> Json:
    spec: Json = asked_spec(decide()) | {"addresses": list(addresses)}
    device = obj("EmulatedNIC", emulated_nic(uid), spec, namespace=DPU)
    device["metadata"]["uid"] = "d"
    return device


@dataclass
class Scene:
    """A NIC's world, to which things happen."""

    api: ModelApi = field(default_factory=ModelApi)
    deleted: bool = False
    powered: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    tampered: bool = False

    @property
    def device(self) -> Json | None:
        return self.api.get(EMULATEDNIC, emulated_nic("uid-nic"), DPU)

    def decide(self) -> NICPlan:
        leaving = LEAVING if self.deleted and self.powered else Departure()
        return decide(nic(deleted=self.deleted), device=self.device, neighbours=self.neighbours, departure=leaving)

    def happen(self, event: str) -> None:
        device = self.device
        match event:
            case "delete":
                self.deleted = True
            case "power on":
                self.powered = self.powered or not self.deleted
            case "power off":
                self.powered = False
            case "neighbour":
                number = len(self.neighbours)
                self.neighbours += (
                    Neighbour(f"n{number}", (f"10.20.0.{3 + number % 4}/29",), f"m{number}", asked=True),
                )
            case "deleted by hand" if device is not None:
                self.tampered = True
                self.api.carry_out(
                    DeleteObject(EMULATEDNIC, DPU, device["metadata"]["name"], device["metadata"]["uid"])
                )
            case "agent" if device is not None:
                leaving = "deletionTimestamp" in device["metadata"]
                told = condition("Removed", "True", "Removed") if leaving else condition("Ready", "True", "Available")
                status = {"observedGeneration": device["metadata"]["generation"], "conditions": [told]}
                self.api.put(EMULATEDNIC, merged(device, {"status": status}))
            case _:
                pass


@given(
    st.lists(st.sampled_from(["agent", "deleted by hand", "delete", "power on", "power off", "neighbour"]), max_size=14)
)
def test_carrying_out_a_plan_and_planning_again_gives_the_empty_plan_whatever_happens(happened: list[str]) -> None:
    scene = Scene()
    at_rest(scene.api, scene.decide)
    for event in happened:
        before = scene.device
        scene.happen(event)
        decided = at_rest(scene.api, scene.decide)
        after = scene.device
        if before and after and before["metadata"]["uid"] == after["metadata"]["uid"]:
            assert before["spec"]["addresses"] == after["spec"]["addresses"], "an address is never taken away"
        if after is not None and (not scene.deleted or scene.powered) and not scene.tampered:
            assert "deletionTimestamp" not in after["metadata"]
        assert before or not scene.deleted or after is None, "nothing new is made on the delete path"
        assert decided.gone == (scene.deleted and after is None)
