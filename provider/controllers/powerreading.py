"""The power of servers as their BMCs report it, and what is not worth asking again.

A reading is used for a few seconds, because events come in bursts and a BMC is slow; whoever must know asks for a fresh
one. A password that was refused is not tried again before it changes or a while has passed: BMCs lock accounts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from provider.api.powerstate import Power
from provider.api.reasons import Reason
from provider.api.server import Server
from provider.bmc.endpoint import Endpoint
from provider.bmc.errors import BMCAuthenticationFailed, BMCError
from provider.bmc.power import BMC
from provider.controllers.bmcendpoints import BMCEndpoints
from provider.planning.powerworld import Fault
from provider.runtime.client import KubeClient

REUSED_FOR_S = 5.0
REFUSED_FOR_S = 60.0


class BMCFactory(Protocol):
    """Where BMCs come from."""

    def connect(self, endpoint: Endpoint) -> BMC:
        """The BMC at an endpoint; nothing is sent before the first request."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    power: Power
    at_s: float


@dataclass(frozen=True, slots=True)
class _Refused:
    endpoint: Endpoint
    fault: Fault
    until_s: float


class PowerReadings:
    """By server UID. Nothing of it is truth: all may be forgotten at any time."""

    def __init__(
        self,
        client: KubeClient,
        bmcs: BMCFactory,
        installation_namespace: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bmcs = bmcs
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._refused: dict[str, _Refused] = {}
        self._endpoints = BMCEndpoints(client, installation_namespace, clock)

    async def read(self, server: Server, *, fresh: bool) -> Power | Fault:
        """The power, or why it cannot be told."""
        uid = server.metadata.uid
        known = self._known.get(uid)
        if known is not None and not fresh and self._clock() - known.at_s < REUSED_FOR_S:
            return known.power
        self._known.pop(uid, None)
        endpoint = await self._endpoints.of(server)
        if isinstance(endpoint, Fault):
            return endpoint
        refused = self._refused.get(uid)
        if refused is not None and refused.endpoint == endpoint and self._clock() < refused.until_s:
            return refused.fault
        return await self._ask(server, endpoint)

    async def connect(self, server: Server) -> BMC | Fault:
        """The BMC of the server, for a command."""
        endpoint = await self._endpoints.of(server)
        return endpoint if isinstance(endpoint, Fault) else self._bmcs.connect(endpoint)

    def forget(self, server_uid: str) -> None:
        """What was known is out of date: a command was sent."""
        self._known.pop(server_uid, None)

    async def _ask(self, server: Server, endpoint: Endpoint) -> Power | Fault:
        uid = server.metadata.uid
        try:
            reading = await self._bmcs.connect(endpoint).read_power()
        except BMCError as error:
            fault = Fault(_reason(error), f"Server {server.metadata.name}: {error}")
            self._endpoints.forget(uid)
            if isinstance(error, BMCAuthenticationFailed):
                self._refused[uid] = _Refused(endpoint, fault, self._clock() + REFUSED_FOR_S)
            return fault
        self._refused.pop(uid, None)
        power: Power = "On" if reading.value == "On" else "Off"
        self._known[uid] = _Known(power, self._clock())
        return power


def _reason(error: BMCError) -> Reason:
    if isinstance(error, BMCAuthenticationFailed):
        return Reason.BMC_AUTHENTICATION_FAILED
    return Reason.BMC_UNREACHABLE
