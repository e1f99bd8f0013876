"""A VirtualNIC's device: slot, MAC and address decided here, realised by the DPU's agent.

The address lives in ``EmulatedNIC.spec.addresses``: there it is found again when the status is lost, and there everyone
else sees that it is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from provider.api.emulatednic import EmulatedNetwork, EmulatedNIC, EmulatedNICSpec
from provider.api.emulation import TraceParent
from provider.api.names import dpu_namespace, emulated_nic, mac_address
from provider.api.network import Network
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDNIC
from provider.api.server import NICSlot
from provider.api.virtualnic import VirtualNIC, VirtualNICObservation
from provider.planning import emulated
from provider.planning.action import Json
from provider.planning.addresses import fault, lowest_free
from provider.planning.emulated import STAYS, Departure
from provider.planning.tenancy import Hold, NoHold
from provider.planning.verdict import Plan, Verdict, refused, waiting

NICPlan = Plan[VirtualNICObservation]

LOOK_AGAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another machine's NIC on the same network; ``asked`` only if it has no device yet."""

    uid: str
    addresses: tuple[str, ...]
    mac: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """``device`` is this NIC's EmulatedNIC as the API has it."""

    nic: VirtualNIC
    hold: Hold | NoHold
    network: Network | None = None
    device: Json | None = None
    neighbours: tuple[Neighbour, ...] = ()
    agent_lost: str | None = None
    departure: Departure = STAYS
    trace: TraceParent | None = None


@dataclass(frozen=True, slots=True)
class _Identity:
    slot: NICSlot
    mac: str
    address: str


def plan(world: World) -> NICPlan:
    """Ask the DPU for the NIC, follow it, or have it taken away."""
    if world.nic.metadata.deleting:
        return _plan_delete(world)
    if isinstance(world.hold, NoHold):
        return _no_hold(world, world.hold)
    if world.network is None:
        return _wait(world, Reason.NETWORK_NOT_FOUND, _no_network(world))
    if not world.network.allows(world.nic.metadata.namespace or ""):
        message = (
            f"Network {world.network.metadata.name} is not open to namespace {world.nic.metadata.namespace}: "
            "ask its operator to add the namespace to spec.allowedNamespaces"
        )
        return refused(Reason.NETWORK_NOT_GRANTED, message, _seen(world))
    identity = _identify(world, world.hold, world.network)
    if isinstance(identity, Verdict):
        # An address becomes free without an event of ours.
        return Plan(ready=identity, seen=_seen(world), synced=_synced(identity), look_again_s=LOOK_AGAIN_S, polled=True)
    return _plan_device(world, world.hold, world.network, identity)


def _no_network(world: World) -> str:
    missing = f"Network {world.nic.spec.for_provider.network} does not exist"
    if world.device is None:
        return missing
    return f"{missing} any more: the NIC works on as it is, until one of that name is made and it follows that"


def _plan_device(world: World, hold: Hold, network: Network, identity: _Identity) -> NICPlan:
    spec = EmulatedNICSpec(
        machine_ref=hold.machine,
        claim_uid=hold.claim.metadata.uid,
        nic_slot=identity.slot.slot,
        representor=identity.slot.representor,
        mac=identity.mac,
        network=EmulatedNetwork(name=network.metadata.name, vlan=network.spec.vlan, mtu=network.spec.mtu),
        addresses=[identity.address],
        force_unplug=world.nic.spec.for_provider.force_unplug,
        trace=emulated.trace_of(world.trace, world.device),
    ).to_json()
    name = emulated_nic(world.nic.metadata.uid)
    what = f"a NIC in slot {identity.slot.slot} with {identity.mac} and {identity.address}"
    actions = emulated.ensure(EMULATEDNIC, dpu_namespace(hold.dpu_name), name, hold, spec, world.device, what)
    ready = emulated.readiness(_device(world), agent_lost=world.agent_lost)
    if actions and ready.status == "True":
        ready = waiting(Reason.CREATING, f"asking {hold.dpu_name} for {what}")
    return Plan(ready=ready, seen=_seen(world), actions=actions)


def _identify(world: World, hold: Hold, network: Network) -> _Identity | Verdict:
    parameters = world.nic.spec.for_provider
    slots = sorted(hold.server.spec.nic_slots, key=lambda nic: nic.slot)
    if parameters.index >= len(slots):
        message = f"Server {hold.server.metadata.name} has {len(slots)} NIC slots; index {parameters.index} is beyond"
        return Verdict("False", Reason.SLOT_UNAVAILABLE, message)
    mac = (parameters.mac_address or _stable_mac(world.nic, world.device)).lower()
    if any(other.mac.lower() == mac and _yields(world, other) for other in world.neighbours):
        return Verdict("False", Reason.ADDRESS_IN_USE, f"MAC {mac} is in use on Network {network.metadata.name}")
    address = _address(world, network)
    return address if isinstance(address, Verdict) else _Identity(slots[parameters.index], mac, address)


def identities(nic: VirtualNIC, device: Json | None) -> tuple[str, str] | None:
    """MAC and address that it asks for or has; None if it is to be given an address."""
    parameters = nic.spec.for_provider
    recorded: Sequence[str] = (device or {}).get("spec", {}).get("addresses", ())
    address = parameters.address or next(iter(recorded), None)
    return None if address is None else (parameters.mac_address or _stable_mac(nic, device), address)


def _stable_mac(nic: VirtualNIC, device: Json | None) -> str:
    """That of the device that is there, else the one that this NIC of the machine always had."""
    recorded: str | None = (device or {}).get("spec", {}).get("mac")
    return recorded or mac_address(nic.metadata.controller_uid or nic.metadata.uid, nic.metadata.name)


def _address(world: World, network: Network) -> str | Verdict:
    """The address asked for, else the one that the device has, else the lowest free one."""
    asked = world.nic.spec.for_provider.address
    name = network.metadata.name
    if asked is not None:
        wrong = fault(asked, network)
        if wrong is not None:
            return Verdict("False", Reason.RECONCILE_ERROR, wrong)
        if any(_same(asked, other.addresses) and _yields(world, other) for other in world.neighbours):
            message = f"address {asked} is in use on Network {name}: choose another, or none to get a free one"
            return Verdict("False", Reason.ADDRESS_IN_USE, message)
        return asked
    recorded: Sequence[str] = (world.device or {}).get("spec", {}).get("addresses", ())
    if recorded and not any(
        _same(recorded[0], other.addresses) and _yields(world, other) for other in world.neighbours
    ):
        return recorded[0]
    free = lowest_free(network, [address for other in world.neighbours for address in other.addresses])
    if free is None:
        return Verdict("False", Reason.NO_FREE_ADDRESS, f"Network {name} has no free address in {network.spec.subnet}")
    return free


def _yields(world: World, other: Neighbour) -> bool:
    """Who gives way: one without a device to one that has it; between equals the greater UID, so that one wins."""
    ours = world.device is None
    if ours != other.asked:
        return ours
    return other.uid < world.nic.metadata.uid


def _same(address: str, others: Sequence[str]) -> bool:
    return address.split("/")[0] in {other.split("/")[0] for other in others}


def _plan_delete(world: World) -> NICPlan:
    device, seen = _device(world), _seen(world)
    if device is None or world.device is None:
        return Plan(ready=waiting(Reason.DELETING), seen=seen, gone=True)
    if world.departure.must_wait:
        return Plan(ready=world.departure.verdict(), seen=seen)
    forced = world.nic.spec.for_provider.force_unplug
    actions, message = emulated.remove(EMULATEDNIC, world.device, device, world.agent_lost, forced=forced)
    return Plan(ready=waiting(Reason.DELETING, message), seen=seen, actions=tuple(actions))


def _no_hold(world: World, hold: NoHold) -> NICPlan:
    if hold.refused:
        return refused(hold.reason, hold.message, _seen(world))
    return _wait(world, hold.reason, hold.message)


def _wait(world: World, reason: Reason, message: str) -> NICPlan:
    return Plan(ready=waiting(reason, message), seen=_seen(world))


def _synced(verdict: Verdict) -> Verdict:
    # Only what a human wrote wrongly is an error of the reconcile; what may heal by itself is not.
    wrong = verdict.reason is Reason.RECONCILE_ERROR
    return verdict if wrong else Verdict("True", Reason.RECONCILE_SUCCESS)


def _device(world: World) -> EmulatedNIC | None:
    return None if world.device is None else EmulatedNIC.parse(world.device)


def _seen(world: World) -> VirtualNICObservation:
    device = _device(world)
    known: dict[str, Any] = {}
    if isinstance(world.hold, Hold):
        known = {"server_name": world.hold.server.metadata.name, "dpu_name": world.hold.dpu_name}
    if device is not None:
        known |= {
            "emulated_nic": device.metadata.name,
            "mac_address": device.spec.mac,
            "addresses": device.spec.addresses,
            "mtu": device.spec.network.mtu,
            "ofport": device.status.ofport,
            "link_up": device.status.link_up,
            "reachability": device.status.reachability,
        }
    if world.network is not None and world.network.allows(world.nic.metadata.namespace or ""):
        known |= {"gateway": world.network.spec.gateway, "name_servers": world.network.spec.name_servers}
    return VirtualNICObservation(**known)
