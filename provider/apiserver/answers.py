"""Which handler answers which route."""

from collections.abc import Mapping
from pathlib import Path

from provider.api.subresources import CONSOLE, POWER, SERIALLOG, TRACE
from provider.apiserver import trace
from provider.apiserver.machines import VERBS, Asked, MachineVerbs
from provider.apiserver.objects import Objects
from provider.apiserver.options import Result
from provider.apiserver.routes import MACHINES, SERVERS
from provider.apiserver.server import Answer, Call
from provider.apiserver.servers import ServerVerbs
from provider.apiserver.streams import Streams


def table(
    objects: Objects, machines: MachineVerbs, servers: ServerVerbs, streams: Streams, trace_directory: Path | None
) -> Mapping[tuple[str, str, str], Answer]:
    """By method, resource and sub-resource."""

    async def verb(call: Call) -> Result:
        return await machines.answer(_asked(call))

    async def tell_trace(call: Call) -> Result:
        return await trace.of(await objects.machine(call.namespace or "", call.name), trace_directory)

    async def report(call: Call) -> Result:
        return await servers.report(call.name)

    async def switch(call: Call) -> Result:
        return await servers.switch(_asked(call))

    return {
        **{("POST", MACHINES, name): verb for name in VERBS},
        ("GET", MACHINES, TRACE): tell_trace,
        ("GET", MACHINES, CONSOLE): streams.machine_console,
        ("GET", MACHINES, SERIALLOG): streams.serial_log,
        ("GET", SERVERS, POWER): report,
        ("POST", SERVERS, POWER): switch,
        ("GET", SERVERS, CONSOLE): streams.server_console,
    }


def _asked(call: Call) -> Asked:
    assert call.options is not None
    return Asked(call.caller, call.route.subresource, call.namespace or "", call.name, call.options, call.dry_run)
