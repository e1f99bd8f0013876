"""A machine and its devices, as a verb of theirs sees them. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

from provider.api.names import ANNOTATION_EPHEMERAL_DEVICES, ANNOTATION_RUN
from provider.api.powerstate import PowerState

Json = dict[str, Any]
DeviceList = Literal["disks", "networkInterfaces"]
NOUN: dict[DeviceList, str] = {"disks": "disk", "networkInterfaces": "network interface"}


@dataclass(frozen=True, slots=True)
class Equipped:
    """A machine as the API server has it, and the names of its VirtualDisks and VirtualNICs by disk and interface.

    ``power`` is None where it has no PowerState yet. ``new_run`` is an id that no run has had.
    """

    machine: Json
    disk_objects: dict[str, str]
    nic_objects: dict[str, str]
    power: PowerState | None
    new_run: str

    @property
    def name(self) -> str:
        """How a message calls it."""
        metadata = self.machine["metadata"]
        return f"BareMetalMachine {metadata['namespace']}/{metadata['name']}"

    def items(self, list_: DeviceList) -> list[Json]:
        """What its spec has of these."""
        return list(self.machine["spec"].get(list_, ()))

    @property
    def run(self) -> str | None:
        """Id of its present run, where that is marked."""
        return None if self.power is None else self.power.metadata.annotations.get(ANNOTATION_RUN)

    @property
    def ephemeral_text(self) -> str | None:
        """What stands of devices that are not of its spec."""
        text: str | None = self.machine["metadata"].get("annotations", {}).get(ANNOTATION_EPHEMERAL_DEVICES)
        return text
