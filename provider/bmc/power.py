"""Capabilities of a BMC, each as narrow as its users need. Verbs follow Redfish's ResetType (DSP0268, Resource)."""

from enum import StrEnum
from typing import Protocol


class PowerReading(StrEnum):
    """Power of a server as its BMC reports it."""

    ON = "On"
    OFF = "Off"


class ResetType(StrEnum):
    """What a BMC can be asked to do with the power. All of them return before the server has followed."""

    ON = "On"
    FORCE_OFF = "ForceOff"
    GRACEFUL_SHUTDOWN = "GracefulShutdown"
    FORCE_RESTART = "ForceRestart"


class PowerController(Protocol):
    """Reads and switches the power of one server. Every method may raise ``BMCError``."""

    async def read_power(self) -> PowerReading:
        """The power as it is now."""
        ...

    async def reset(self, reset_type: ResetType) -> None:
        """Ask for a change of power. After ``BMCUnreachable`` read the power: the command may have been carried out."""
        ...


class BootController(Protocol):
    """Chooses what the firmware boots. May raise ``BMCError``; a BMC without boot options raises BMCCommandFailed."""

    async def boot_from_disk(self) -> None:
        """Have the firmware boot from its disks at the next start, whatever its own order says."""
        ...


class BMC(PowerController, BootController, Protocol):
    """All capabilities of one BMC, for the composition root; others take the one that they need."""
