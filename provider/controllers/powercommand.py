"""Commands to the power of a server whose hold was just proved."""

from provider.api.server import Server
from provider.controllers.powerreading import PowerReadings
from provider.execution.errors import PowerActionFailed
from provider.execution.power import PowerExecutor
from provider.planning.action import PowerAction
from provider.planning.powerworld import Fault
from provider.runtime.context import Runtime


async def command(runtime: Runtime, readings: PowerReadings, server: Server, action: PowerAction) -> None:
    """Send one. Raises ``PowerActionFailed`` and ``LeadershipLost``."""
    name = server.metadata.name
    bmc = await readings.connect(server)
    if isinstance(bmc, Fault):
        raise PowerActionFailed("reach the BMC of", subject=f"Server {name}", cause=bmc.message)
    readings.forget(server.metadata.uid)
    await PowerExecutor(name, bmc, runtime.leader, runtime.tracer).carry_out(action)
