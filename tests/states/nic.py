"""A VirtualNIC: its planner is asked along a NIC's whole life."""

from collections.abc import Iterator
from dataclasses import replace

from provider.api.names import FINALIZER_EMULATION
from provider.api.network import Network
from provider.api.virtualnic import VirtualNIC
from provider.planning.emulated import Departure
from provider.planning.virtualnic import Neighbour, World, plan
from tests.states.emulation import applied, reported
from tests.states.markdown import OUTSIDE
from tests.states.scenes import Scene, object_words, section
from tests.unit.planning.builders import DELETED, NAMESPACE, UNBOUND, child, hold_on, obj

_ADDRESS = "10.20.0.3/29"


def lines() -> Iterator[str]:
    intro = "It chooses slot, MAC and address, and asks the DPU for the port by an EmulatedNIC."
    yield from section("A VirtualNIC", intro, _scenes(), plan, object_words)


def _nic(*, deleted: bool = False) -> VirtualNIC:
    parameters = {"network": "tenant-a", "index": 0, "address": _ADDRESS}
    return VirtualNIC.parse(child("VirtualNIC", "nic", parameters, **(DELETED if deleted else {})))


def _network(*namespaces: str) -> Network:
    spec = {"vlan": 100, "subnet": "10.20.0.0/29", "gateway": "10.20.0.2", "allowedNamespaces": list(namespaces)}
    return Network.parse(obj("Network", "tenant-a", spec, namespace=None))


def _scenes() -> Iterator[Scene[World]]:
    new = World(_nic(), hold_on(), _network(NAMESPACE))
    asked = replace(new, device=applied(plan(new)))
    shown = replace(asked, device=reported(asked.device, "Ready"))
    other = Neighbour("uid-a", (_ADDRESS,), "02:00:00:00:00:99")
    yield Scene("without server", "the ServerClaim holds none yet", replace(new, hold=UNBOUND), ((OUTSIDE, "made"),))
    yield Scene(
        "without network",
        "its Network does not exist",
        replace(new, network=None),
        (("without server", "server bound"),),
    )
    yield Scene(
        "not granted",
        "its Network is not open to its namespace",
        replace(new, network=_network("another")),
        (("without network", "made for others"),),
    )
    yield Scene(
        "address in use",
        "another NIC has the address",
        replace(new, neighbours=(other,)),
        (("without network", "made"), ("not granted", "granted")),
    )
    yield Scene(
        "new", "address and MAC are free", new, (("without network", "made"), ("address in use", "address given up"))
    )
    yield Scene("asked", "the EmulatedNIC is there, and no agent has seen it", asked, (("new", "applied"),))
    yield Scene("shown", "the agent says Ready", shown, (("asked", "the agent plugs it"), ("unknown", "agent back")))
    yield Scene(
        "unknown", "the agent is silent", replace(shown, agent_lost="silent"), (("shown", "Lease not renewed"),)
    )
    yield from _leaving(shown)


def _leaving(shown: World) -> Iterator[Scene[World]]:
    going = replace(shown, nic=_nic(deleted=True))
    machine_leaves = Departure(machine_leaves=True, power_states=("PowerState p",))
    taken = replace(going, device=reported(going.device, "Removed", **DELETED, finalizers=[FINALIZER_EMULATION]))
    yield Scene(
        "powered",
        "deleted with its machine, whose power was not seen off",
        replace(going, departure=machine_leaves),
        (("shown", "machine deleted"),),
    )
    yield Scene("goes", "deleted; the DPU has it", going, (("powered", "power seen off"), ("shown", "unplugged")))
    yield Scene("taken away", "deleted; the agent says Removed", taken, (("goes", "the agent has undone it"),))
    yield Scene("gone", "deleted; there is no EmulatedNIC", replace(going, device=None), (("taken away", "done"),))
