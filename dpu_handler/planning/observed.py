"""One DPU as values: what SPDK, the device emulation and Open vSwitch say, read in one go."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bdev:
    """A block device of the DPU's target."""

    name: str
    uuid: str
    size_bytes: int
    file: str | None = None


@dataclass(frozen=True, slots=True)
class NvmeController:
    """A controller of a remote subsystem, under a host NQN.

    Not ``connected`` while it is connecting again, nor once it is ``disabled``, which it stays.
    """

    name: str
    subnqn: str
    hostnqn: str
    connected: bool
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class VhostController:
    """A disk as vhost-user-blk. ``bdev`` is None where what was behind it is gone; it never comes back by itself.

    ``busy``: requests of a server were under way at this look. It changes from look to look and is no news by itself.
    """

    name: str
    bdev: str | None
    sessions: int
    busy: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Function:
    """An emulated PCIe function. ``backing`` is the vhost socket of a disk or the representor of a NIC.

    ``driver_bound``: software of the server drives it, or that cannot be told. With the power off none is.
    """

    slot: int
    backing: str
    mac: str | None = None
    boot_index: int | None = None
    unplugging: bool = False
    driver_bound: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the bridge with its one interface."""

    name: str
    vlan: int | None
    mac: str | None
    owner: str | None
    mtu: int | None
    ofport: int | None
    link_up: bool


@dataclass(frozen=True, slots=True)
class Observed:
    """All of it, by the name or slot that it is found by."""

    bdevs: Mapping[str, Bdev] = field(default_factory=dict)
    nvme: Mapping[str, NvmeController] = field(default_factory=dict)
    vhost: Mapping[str, VhostController] = field(default_factory=dict)
    functions: Mapping[int, Function] = field(default_factory=dict)
    ports: Mapping[str, Port] = field(default_factory=dict)

    def bdev(self, name_or_uuid: str) -> Bdev | None:
        """A bdev by its name or UUID."""
        found = self.bdevs.get(name_or_uuid)
        return found or next((bdev for bdev in self.bdevs.values() if bdev.uuid == name_or_uuid), None)
