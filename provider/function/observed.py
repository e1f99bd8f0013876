"""What the function was told: the machine, its children as they are, and the cluster objects it asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from provider.api.conditions import READY, Condition, find, is_true
from provider.api.instancetype import InstanceType
from provider.api.machine import BareMetalMachine
from provider.api.machineimage import MachineImage
from provider.api.powerstate import PowerState
from provider.api.schema import ApiModel
from provider.api.serverclaim import ServerClaim
from provider.api.virtualdisk import VirtualDisk
from provider.api.virtualnic import VirtualNIC
from provider.api.volume import Volume

Json = dict[str, Any]
Child = ServerClaim | Volume | VirtualDisk | VirtualNIC | PowerState
T = TypeVar("T", bound=ApiModel)

_MODELS: dict[str, type[Child]] = {
    model.__name__: model for model in (ServerClaim, Volume, VirtualDisk, VirtualNIC, PowerState)
}

CLAIM, SEED, POWER = "claim", "seed", "power"


def volume_name(disk: str) -> str:
    """Resource name of a disk's Volume."""
    return f"volume-{disk}"


def disk_name(disk: str) -> str:
    """Resource name of a disk's VirtualDisk."""
    return f"disk-{disk}"


def nic_name(interface: str) -> str:
    """Resource name of an interface's VirtualNIC."""
    return f"nic-{interface}"


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """Resource names of what is composed for one run of the machine only; ``fault``: why that cannot be told."""

    run: str = ""
    resources: frozenset[str] = frozenset()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """``images`` and ``instance_types`` hold what was found of what was asked for.

    The spec of ``machine`` has the ephemeral devices of this run among its own (see ``ephemeral``).
    """

    machine: BareMetalMachine
    children: Mapping[str, Child] = field(default_factory=dict)
    images: Mapping[str, MachineImage] = field(default_factory=dict)
    instance_types: Mapping[str, InstanceType] = field(default_factory=dict)
    ephemeral: Ephemeral = Ephemeral()

    def child(self, name: str, model: type[T]) -> T | None:
        """The child of that resource name, if it is there and of that kind."""
        found = self.children.get(name)
        return found if isinstance(found, model) else None

    @property
    def claim(self) -> ServerClaim | None:
        """The hold on a server."""
        return self.child(CLAIM, ServerClaim)

    @property
    def power(self) -> PowerState | None:
        """The power."""
        return self.child(POWER, PowerState)

    @property
    def nics(self) -> list[VirtualNIC]:
        """The NICs, in the order of the spec."""
        names = [nic_name(interface.name) for interface in self.machine.spec.network_interfaces]
        return [nic for name in names if (nic := self.child(name, VirtualNIC)) is not None]


def parse_child(obj: Json) -> Child | None:
    """The model of an observed child; None for a kind that this function does not compose."""
    model = _MODELS.get(obj.get("kind", ""))
    return None if model is None else model.model_validate(obj)


def as_desired(child: Child, manifest: Json) -> bool:
    """Whether the child has, as it is observed, all that is desired of it now: if not, it is yet to be changed."""
    return _has(child.spec.to_json(), manifest["spec"])


def _has(observed: Any, desired: Any) -> bool:
    if isinstance(observed, dict) and isinstance(desired, dict):
        return all(key in observed and _has(observed[key], value) for key, value in desired.items())
    return bool(observed == desired)


def ready_condition(child: Child) -> Condition | None:
    """The child's Ready condition."""
    return find(child.status.conditions, READY)


def is_ready(child: Child) -> bool:
    """Whether the child's owner saw it ready, for this generation of it."""
    return is_true(child.status.conditions, READY, generation=child.metadata.generation)
