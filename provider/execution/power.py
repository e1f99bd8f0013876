"""Actions on a server's power, through its BMC. Each command is a client span in the machine's trace."""

import logging
from contextlib import AbstractContextManager
from typing import Protocol

from provider.bmc.errors import BMCCommandFailed, BMCError
from provider.bmc.power import BootController, PowerController, ResetType
from provider.execution.errors import PowerActionFailed
from provider.planning.action import BootFromDisk, PowerAction, SwitchPower
from provider.runtime.lease import Leadership
from provider.runtime.tracing import Span, Tracer

_LOG = logging.getLogger(__name__)


class ServerPower(PowerController, BootController, Protocol):
    """What is needed of a BMC here."""


class PowerExecutor:
    """Acts on one server's BMC."""

    def __init__(self, server_name: str, bmc: ServerPower, leader: Leadership, tracer: Tracer) -> None:
        self._server_name = server_name
        self._bmc = bmc
        self._leader = leader
        self._tracer = tracer

    async def carry_out(self, action: PowerAction) -> None:
        """Raises ``PowerActionFailed`` and ``LeadershipLost``."""
        self._leader.check()
        match action:
            case BootFromDisk():
                await self._boot_from_disk()
            case SwitchPower(reset_type):
                await self._switch(ResetType(reset_type))

    async def _switch(self, reset_type: ResetType) -> None:
        try:
            with self._span(reset_type):
                await self._bmc.reset(reset_type)
        except BMCError as error:
            raise PowerActionFailed(
                f"send {reset_type} to", subject=f"Server {self._server_name}", cause=str(error)
            ) from error

    async def _boot_from_disk(self) -> None:
        try:
            with self._span("BootFromDisk"):
                await self._bmc.boot_from_disk()
        except BMCCommandFailed as error:
            # A BMC without boot options leaves the choice to the firmware, whose order has the boot disk first.
            _LOG.warning("boot device not set server=%s error=%s", self._server_name, error)
        except BMCError as error:
            raise PowerActionFailed(
                "choose the boot device of", subject=f"Server {self._server_name}", cause=str(error)
            ) from error

    def _span(self, command: str) -> AbstractContextManager[Span]:
        return self._tracer.span(
            f"bmc {command}", kind="client", attributes={"bmc.command": command, "server.name": self._server_name}
        )
