"""All that the agent can do to its DPU: a closed union. Each step that makes something names the one that undoes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DetachNvme:
    """Let go of a remote volume."""

    controller: str


@dataclass(frozen=True, slots=True)
class DisableNvme:
    """Cut a remote volume's connections: requests under way come back, and a detach then asks its storage nothing."""

    controller: str


@dataclass(frozen=True, slots=True)
class EnableNvme:
    """Connect a remote volume that was cut off again, for as long as that takes."""

    controller: str


@dataclass(frozen=True, slots=True)
class AttachNvme:
    """Connect to the subsystem that a volume's publish context names."""

    controller: str
    params: Mapping[str, Any] = field(hash=False)

    @property
    def undo(self) -> DetachNvme:
        """Its opposite."""
        return DetachNvme(self.controller)


@dataclass(frozen=True, slots=True)
class CloseFile:
    """Let go of a file."""

    bdev: str


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Make a read-only bdev over a file of the agent's own."""

    bdev: str
    path: str

    @property
    def undo(self) -> CloseFile:
        """Its opposite."""
        return CloseFile(self.bdev)


@dataclass(frozen=True, slots=True)
class DeleteController:
    """Delete a vhost controller that nobody is connected to."""

    controller: str


@dataclass(frozen=True, slots=True)
class CreateController:
    """Serve a bdev as a vhost-user-blk disk."""

    controller: str
    bdev: str
    read_only: bool

    @property
    def undo(self) -> DeleteController:
        """Its opposite."""
        return DeleteController(self.controller)


@dataclass(frozen=True, slots=True)
class Unplug:
    """Take a function away from the server once its operating system lets go; by force before, if the card can."""

    slot: int
    force: bool = False


@dataclass(frozen=True, slots=True)
class PlugDisk:
    """Show a disk to the server."""

    slot: int
    vhost_socket: str
    boot_index: int | None

    @property
    def undo(self) -> Unplug:
        """Its opposite."""
        return Unplug(self.slot)


@dataclass(frozen=True, slots=True)
class PlugNIC:
    """Show a NIC to the server."""

    slot: int
    representor: str
    mac: str

    @property
    def undo(self) -> Unplug:
        """Its opposite."""
        return Unplug(self.slot)


@dataclass(frozen=True, slots=True)
class RemovePort:
    """Take a port off the bridge."""

    port: str


@dataclass(frozen=True, slots=True)
class AddPort:
    """Put a representor on the bridge, in its VLAN."""

    port: str
    vlan: int
    mac: str
    owner: str
    mtu: int

    @property
    def undo(self) -> RemovePort:
        """Its opposite."""
        return RemovePort(self.port)


@dataclass(frozen=True, slots=True)
class CorrectPort:
    """Set a port that is there to what it should be."""

    port: str
    vlan: int
    mac: str
    owner: str
    mtu: int


Step = (
    AttachNvme
    | DetachNvme
    | DisableNvme
    | EnableNvme
    | OpenFile
    | CloseFile
    | CreateController
    | DeleteController
    | PlugDisk
    | PlugNIC
    | Unplug
    | AddPort
    | CorrectPort
    | RemovePort
)
Stage = tuple[Step, ...]
Plan = tuple[Stage, ...]
