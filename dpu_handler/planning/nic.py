"""A NIC: a port of the bridge and a PCIe function, which do not depend on each other."""

from dataclasses import dataclass

from dpu_handler.planning.observed import Observed, Port
from dpu_handler.planning.steps import AddPort, CorrectPort, Plan, PlugNIC, RemovePort, Step, Unplug


@dataclass(frozen=True, slots=True)
class NIC:
    """A NIC as the server must see it. ``owner`` is the UID of its EmulatedNIC, kept in external_ids of the port."""

    owner: str
    slot: int
    representor: str
    mac: str
    vlan: int
    mtu: int


def plan(nic: NIC, seen: Observed) -> Plan:
    """What is missing or was changed by hand."""
    function = seen.functions.get(nic.slot)
    if function is not None and (function.backing, function.mac) != (nic.representor, nic.mac):
        # The slot is the card's for this NIC alone: whatever else sits there is left from before.
        return ((Unplug(nic.slot),),)
    steps: list[Step] = []
    port = seen.ports.get(nic.representor)
    if port is None:
        steps.append(AddPort(nic.representor, nic.vlan, nic.mac, nic.owner, nic.mtu))
    elif not _as_wanted(port, nic):
        steps.append(CorrectPort(nic.representor, nic.vlan, nic.mac, nic.owner, nic.mtu))
    if function is None:
        steps.append(PlugNIC(nic.slot, nic.representor, nic.mac))
    return (tuple(steps),) if steps else ()


def undo(nic: NIC, seen: Observed, *, force: bool = False) -> Plan:
    """What is left of the NIC: the function goes before the port, so that the server never sees a dead link.

    ``force``: though its operating system does not let go of it.
    """
    stages: list[tuple[Step, ...]] = []
    function = seen.functions.get(nic.slot)
    if function is not None and (function.backing, function.mac) == (nic.representor, nic.mac):
        stages.append((Unplug(nic.slot, force),))
    port = seen.ports.get(nic.representor)
    if port is not None and port.owner == nic.owner:
        stages.append((RemovePort(nic.representor),))
    return tuple(stages)


def is_held(nic: NIC, seen: Observed) -> bool:
    """Whether the server was asked to let go of the NIC and has not done so."""
    function = seen.functions.get(nic.slot)
    return function is not None and function.backing == nic.representor and function.unplugging


def _as_wanted(port: Port, nic: NIC) -> bool:
    return (port.vlan, port.mac, port.owner, port.mtu) == (nic.vlan, nic.mac, nic.owner, nic.mtu)
