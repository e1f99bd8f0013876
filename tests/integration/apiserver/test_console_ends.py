"""Consoles whose machine goes, whose server changes hands, or whose BMC dies."""

import asyncio

from provider.api.resources import BAREMETALMACHINE
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.websockets import Clients, Door, path
from tests.integration.waiting import eventually

_NOTICED_WITHIN_S = 15.0
"""Of a BMC that is back: 8 s, and what a busy machine takes."""

NOT_ANY_MORE = "you may not use this console any more"


async def test_a_console_ends_with_its_machine(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine, door = rack.machine(namespace), Door.of(api.rest)
    both = [await consoles.opens(door, machine), await consoles.opens(door, machine, watch="true")]
    api.rest.delete(BAREMETALMACHINE, machine)
    for each in both:
        assert await each.closes() == (1000, "no machine holds the server any more")
    assert (await consoles.refused(door, machine)).code == 404


async def test_the_next_machine_finds_nothing_of_the_one_before(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    first, door = rack.machine(namespace), Door.of(api.rest)
    console = await consoles.opens(door, first)
    await console.types(b"the secret of the first")
    await console.until(b"of the first")
    assert api.rest.bytes_of(path(first, "seriallog")).endswith(b"the secret of the first")

    second = rack.machine_on(rack.server_of(first), namespace)
    # By the change itself, or by the question whether the right is still there, whichever comes first.
    assert await console.closes() in ((1000, "the server changed hands"), (1008, NOT_ANY_MORE))
    refused = await consoles.refused(door, first)
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert api.rest.ask("GET", path(first, "seriallog")).code == 409

    console = await consoles.opens(door, second)
    assert api.rest.bytes_of(path(second, "seriallog")) == b""
    await console.types(b"the second's own")
    assert await console.until(b"own") == b"the second's own"
    assert api.rest.bytes_of(path(second, "seriallog")) == b"the second's own"


async def test_a_console_goes_on_when_its_bmc_was_killed(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine = rack.machine(namespace)
    console = await consoles.opens(Door.of(api.rest), machine)
    await console.types(b"before")
    await console.until(b"before")
    rack.restart_bmcs()
    rack.power_on(rack.server_of(machine))
    # The BMC knows nothing of the session, and says nothing: nobody types, and the loss is found all the same.
    async with asyncio.timeout(_NOTICED_WITHIN_S):
        assert "It is opened again" in (await console.told("notice"))["message"]
    await console.types(b"after")
    await console.until(b"after")
    log = eventually(lambda: api.rest.bytes_of(path(machine, "seriallog")), lambda text: text.endswith(b"after"))
    assert log.startswith(b"before")
