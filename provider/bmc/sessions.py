"""One BMC object for each endpoint, so that its session is shared by all that ask for it; a console has its own."""

import asyncio

from provider.bmc.console import ConsoleController
from provider.bmc.endpoint import Endpoint
from provider.bmc.ipmi import IpmiBMC, IpmiThread
from provider.bmc.power import BMC
from provider.bmc.sol import SolConsole


class BMCSessions:
    """The BMCs that were asked for. Changed credentials are another endpoint, and so another session."""

    def __init__(self) -> None:
        self._bmcs: dict[Endpoint, IpmiBMC] = {}

    def connect(self, endpoint: Endpoint) -> BMC:
        """The BMC at ``endpoint``. Nothing is sent before the first request."""
        for stale in [known for known in self._bmcs if str(known) == str(endpoint) and known != endpoint]:
            # Its session closes by itself when idle and its thread ends; kept here, old credentials would live on.
            del self._bmcs[stale]
        if endpoint not in self._bmcs:
            self._bmcs[endpoint] = IpmiBMC(endpoint, IpmiThread())
        return self._bmcs[endpoint]

    def console(self, endpoint: Endpoint) -> ConsoleController:
        """The serial console of the server behind ``endpoint``. Nothing is sent before it is opened."""
        return SolConsole(endpoint)

    async def close(self) -> None:
        """Log out everywhere."""
        await asyncio.gather(*(bmc.end() for bmc in self._bmcs.values()))
