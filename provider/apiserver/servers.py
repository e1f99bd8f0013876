"""The verbs of servers, for their operators."""

from typing import Any

from provider.api.powerstate import PowerState
from provider.api.server import Server
from provider.apiserver import power
from provider.apiserver.errors import StateForbids
from provider.apiserver.machines import Asked, MachineVerbs, of_power
from provider.apiserver.objects import Objects
from provider.apiserver.options import ActionResult, PowerReport
from provider.controllers.powerreading import PowerReadings
from provider.planning.powerworld import Fault

Json = dict[str, Any]


class ServerVerbs:
    """A server's power is its machine's to say: without a machine it is only looked at."""

    def __init__(self, objects: Objects, machines: MachineVerbs, readings: PowerReadings) -> None:
        self._objects = objects
        self._machines = machines
        self._readings = readings

    async def report(self, name: str) -> PowerReport:
        """The power as the BMC says now, and the last power request of the machine that holds it."""
        server = await self._objects.server(name)
        machine = await self._objects.holder(server)
        reading = await self._readings.read(server, fresh=True)
        return PowerReport(
            metadata={"name": name},
            machine=_place(machine) if machine else None,
            state="Unknown" if isinstance(reading, Fault) else reading,
            message=reading.message if isinstance(reading, Fault) else "",
            request=await self._request(machine) if machine else None,
        )

    async def switch(self, asked: Asked) -> ActionResult:
        """Ask for another power. Raises ``StateForbids`` where no machine holds the server."""
        server = await self._objects.server(asked.name)
        machine = await self._holder(server)
        metadata = machine["metadata"]
        place = Asked(asked.caller, asked.verb, metadata["namespace"], metadata["name"], asked.options, asked.dry_run)
        done = await self._machines.carry_out(place, of_power(power.switch))
        return done.model_copy(update={"metadata": {"name": asked.name}})

    async def _holder(self, server: Server) -> Json:
        machine = await self._objects.holder(server)
        if machine is None:
            raise StateForbids(
                f"Server {server.metadata.name} is held by no machine: metalplane switches only the power that a "
                "machine asks for; use its BMC's own tools for maintenance",
                kind="servers",
                name=server.metadata.name,
            )
        return machine

    async def _request(self, machine: Json) -> Json | None:
        seen = await self._objects.powered(machine)
        return _last(seen.power)


def _last(state: PowerState | None) -> Json | None:
    """The request that was written last; one that its controller has not taken up yet is Pending."""
    if state is None:
        return None
    asked, known = state.spec.for_provider.request, state.status.at_provider.request
    if asked is not None and (known is None or known.id != asked.id):
        return {"id": asked.id, "phase": "Pending"}
    return known.to_json() if known is not None else None


def _place(machine: Json) -> str:
    return f"{machine['metadata']['namespace']}/{machine['metadata']['name']}"
