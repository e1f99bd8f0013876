"""One replica has a server's console, whichever is asked; and another takes it over."""

import os
import signal
import time

import aiohttp

from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.tenants import straight
from tests.integration.apiserver.websockets import Clients, Console, Door
from tests.integration.waiting import eventually

_OTHER = {"api0": "api1", "api1": "api0"}
_TAKEN_OVER_WITHIN_S = 25.0


async def test_the_replica_that_has_not_the_console_passes_it_through(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine = rack.machine(namespace)
    owner = rack.owner(rack.server_of(machine))
    door = straight(api, _OTHER[owner], namespace)
    passed_through = await consoles.opens(door, machine)
    watcher = await consoles.opens(Door.of(api.rest), machine, watch="true")
    data = bytes(range(256))
    await passed_through.types(data)
    assert await passed_through.reads(len(data)) == data
    assert (await watcher.until(data)).endswith(data)
    refused = await consoles.refused(door, machine)
    assert refused.code == 409
    assert f"system:serviceaccount:{namespace}:typist" in refused.body["message"]
    assert rack.owner(rack.server_of(machine)) == owner


async def test_another_replica_takes_the_console_over_when_its_owner_was_killed(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine, door = rack.machine(namespace), Door.of(api.rest)
    server = rack.server_of(machine)
    owner = rack.owner(server)
    watcher = await consoles.opens(door, machine, watch="true")
    killed_at = time.monotonic()
    try:
        os.kill(rack.pid(owner), signal.SIGKILL)
        api.apiserver.supervisor.stop([owner])
        assert await ended(watcher) in (1001, None)
        # The other still believes that it lives.
        refused = await consoles.refused(door, machine)
        assert (refused.code, refused.body["reason"]) == (503, "ServiceUnavailable")
        assert "(Connection refused)" in refused.body["message"]
        console = await reconnected(consoles, door, machine)
        await console.types(b"after the takeover")
        await console.until(b"after the takeover")
        assert time.monotonic() - killed_at < _TAKEN_OVER_WITHIN_S
        assert rack.owner(server) == _OTHER[owner]
    finally:
        api.apiserver.supervisor.start(api.replicas)
        eventually(lambda: rack.pid(owner), bool)


async def ended(console: Console) -> int | None:
    """How a console ended; None where it was cut off."""
    try:
        return (await console.closes())[0]
    except ConnectionError:
        return None


async def reconnected(consoles: Clients, door: Door, machine: dict[str, object]) -> Console:
    """As any client does that is told to try again."""
    deadline = time.monotonic() + _TAKEN_OVER_WITHIN_S
    while True:
        try:
            return await consoles.opens(door, machine)
        except aiohttp.WSServerHandshakeError as error:
            if error.status != 503 or time.monotonic() > deadline:
                raise
