"""Ephemeral devices: disks and network interfaces that a machine has until it is next off, beside those of its spec.

They are for machines whose spec is git's: they stand where git says nothing, in an annotation of the machine, which
bm-api writes. It also marks the run that they belong to, with an id in an annotation of the machine's PowerState, which
the PowerState's controller takes away as soon as it sees the server off. Devices of another run than the one that is
marked are over, and as no id comes twice they are over for ever, whatever becomes of anybody's status.
"""

from typing import Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from provider.api.machine import MAX_DISKS, MAX_NETWORK_INTERFACES, MachineDisk, MachineNetworkInterface
from provider.api.names import ANNOTATION_EPHEMERAL_DEVICES
from provider.api.quantity import parse_bytes
from provider.api.schema import API_MODEL_CONFIG, DNS_LABEL, ApiModel

_QUOTED = 500
"""So many characters are said of what is wrong: the annotation may be of any length, and a condition may not."""


class EphemeralDevices(ApiModel):
    """What the annotation ``metalplane.io/ephemeral-devices`` holds, as JSON."""

    model_config = ConfigDict(**{**API_MODEL_CONFIG, "extra": "forbid"})

    run: str = Field(min_length=1, max_length=63, description="Id of the run of the machine that they belong to.")
    disks: list[MachineDisk] = Field(default_factory=list, max_length=MAX_DISKS, description="As in spec.disks.")
    network_interfaces: list[MachineNetworkInterface] = Field(
        default_factory=list, max_length=MAX_NETWORK_INTERFACES, description="As in spec.networkInterfaces."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """What the API server would say of a spec; here nobody has asked it who writes the annotation by hand."""
        for noun, devices in (("disk", self.disks), ("network interface", self.network_interfaces)):
            names = [device.name for device in devices]
            for name in names:
                if not DNS_LABEL.fullmatch(name):
                    raise ValueError(f"{noun} name {name!r} is no DNS label: lower-case letters, digits and dashes")
                if names.count(name) > 1:
                    raise ValueError(f"two devices are called {noun} {name}: give each a name of its own")
        for disk in self.disks:
            if disk.boot:
                raise ValueError(f"disk {disk.name} has boot: true: a machine boots from a disk of its spec")
            if not parse_bytes(disk.size):
                raise ValueError(f"size of disk {disk.name} must be more than 0, such as 20Gi")
        return self

    @classmethod
    def read(cls, text: str) -> Self:
        """The annotation's value. Raises ``ValueError`` that says what is wrong and what to do."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            wrong = "; ".join(_told(entry["loc"], entry["msg"]) for entry in error.errors(include_url=False))
            raise ValueError(
                f"annotation {ANNOTATION_EPHEMERAL_DEVICES} cannot be read: {wrong[:_QUOTED]}; take it away, and add "
                "devices by addvolume and addnic with ephemeral"
            ) from error

    def to_text(self) -> str:
        """The annotation's value."""
        return self.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True)


def _told(place: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(part) for part in place)
    return f"{field}: {message}" if field else message.removeprefix("Value error, ")
