"""A console is the same through whichever replica, under its own claim only, and goes on when its owner is gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provider.api.resources import LEASE, SECRET
from provider.api.subresources import PEERS_SECRET
from provider.apiserver.console.peer import HEADER_SECRET
from tests.unit.console.lines import PATIENCE_S
from tests.unit.console.replicas_rig import NAMESPACE, Client, Replica, World, replicas
from tests.unit.console.test_console_session import closed, news, shown

OTHER_MACHINE = "99999999-8888-7777-6666-555555555555"
EVERY_BYTE = bytes(range(256))

Rig = tuple[World, Replica, Replica, Client]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with replicas(tmp_path) as found:
        yield found


async def test_only_one_replica_opens_the_console_of_a_machine_that_is_on(rig: Rig) -> None:
    world, owner, other, client = rig
    (await world.bmc.nth(1)).prints(b"boot\r\n")
    async with client.console(other) as socket:
        await news(socket)
        assert await shown(socket, 6) == b"boot\r\n"
    assert world.bmc.tries == 1
    assert await client.log(owner) == await client.log(other) == b"boot\r\n"


async def test_the_console_is_the_same_through_every_replica(rig: Rig) -> None:
    world, owner, other, client = rig
    line = await world.bmc.nth(1)
    async with client.console(owner, watch="true", user="bob") as near, client.console(other, user="Änn") as far:
        assert await news(near) == {"type": "opened", "role": "watcher"}
        assert await news(far) == {"type": "opened", "role": "writer", "writer": "Änn"}
        line.prints(EVERY_BYTE)
        assert await shown(near, 256) == await shown(far, 256) == EVERY_BYTE
        await far.send_bytes(EVERY_BYTE)
        await far.send_str('{"type": "break"}')
        await far.send_str("?")
        await news(far)
        assert (line.written, line.breaks_sent) == (EVERY_BYTE, 1)


@pytest.mark.parametrize("through", [0, 1], ids=["its owner", "another replica"])
async def test_a_second_writer_is_refused_before_the_upgrade_and_may_take_over(rig: Rig, through: int) -> None:
    _, owner, other, client = rig
    replica = (owner, other)[through]
    async with client.console(owner, user="ann") as first:
        await news(first)
        assert await client.refused(replica, user="bob") == 409
        async with client.console(replica, user="bob", takeover="true") as second:
            assert (await news(second))["role"] == "writer"
            assert (await news(first))["message"] == "bob has taken over; you watch"


async def test_a_right_that_is_taken_away_ends_a_console_that_is_passed_through(rig: Rig) -> None:
    _, owner, other, client = rig
    async with client.console(other) as socket:
        await news(socket)
        other.allowed = False
        assert (await news(socket))["type"] == "closing"
        assert (await closed(socket))[0] == 1008
    async with client.console(owner) as socket:
        await news(socket)


async def test_the_next_claim_finds_nothing_and_the_last_one_is_shut_out(rig: Rig) -> None:
    world, owner, other, client = rig
    (await world.bmc.nth(1)).prints(b"secrets of tenant-a")
    async with client.console(owner) as near, client.console(other, watch="true") as far:
        for socket in (near, far):
            await news(socket)
            await shown(socket, 19)
        world.held_by(world.machine("bm-02", OTHER_MACHINE))
        for socket in (near, far):
            assert (await news(socket))["reason"] == "the server changed hands"
            assert await closed(socket) == (1000, "the server changed hands")
    await world.bmc.nth(2)
    for replica in (owner, other):
        assert await client.log(replica) == b""
        assert await client.refused(replica, claim=world.claim) == 409


async def test_a_console_ends_with_its_machine(rig: Rig) -> None:
    world, _, other, client = rig
    line = await world.bmc.nth(1)
    async with client.console(other) as socket:
        await news(socket)
        await world.deleted("bm-01")
        assert (await news(socket))["reason"] == "no machine holds the server any more"
        assert (await closed(socket))[0] == 1000
    assert line.closed


async def test_while_the_server_is_off_its_history_is_shown_and_the_console_waits(rig: Rig) -> None:
    world, owner, _, client = rig
    first = await world.bmc.nth(1)
    first.prints(b"shutting down\r\n")
    async with client.console(owner, watch="true") as early:
        await news(early)
        await shown(early, 15)
        world.power("Off", "Off")
        assert "is off" in (await news(early))["message"]
    async with client.console(owner) as socket:
        await news(socket)
        assert await shown(socket, 15) == b"shutting down\r\n"
        assert "is off" in (await news(socket))["message"]
        world.power("On", "Off")
        (await world.bmc.nth(2)).prints(b"again\r\n")
        assert (await news(socket))["message"] == "the console is connected"
        assert await shown(socket, 7) == b"again\r\n"


async def test_an_owner_that_leaves_is_succeeded_at_once(rig: Rig) -> None:
    world, owner, other, client = rig
    line = await world.bmc.nth(1)
    async with client.console(owner) as near, client.console(other, watch="true") as far:
        await news(near)
        await news(far)
        leaving = asyncio.ensure_future(owner.leave())
        for socket in (near, far):
            assert (await news(socket))["type"] == "closing"
            assert (await closed(socket))[0] == 1001
    await leaving
    assert line.closed
    world.clock.now_s += 5
    await other.round()
    async with client.console(other) as socket:
        await news(socket)
        (await world.bmc.nth(2)).prints(b"here again")
        assert await shown(socket, 10) == b"here again"


async def test_an_owner_that_was_killed_is_succeeded_and_opens_nothing_any_more(rig: Rig) -> None:
    world, owner, other, client = rig
    line = await world.bmc.nth(1)
    async with client.console(other) as far:
        await news(far)
        await owner.die()
        async with asyncio.timeout(PATIENCE_S):
            assert (await news(far))["type"] == "closing"
        assert (await closed(far))[0] == 1001
    assert await client.refused(other) == 503, "nobody knows yet that it is dead"
    for _ in range(4):
        world.clock.now_s += 5
        await other.round()
    await world.bmc.nth(2)
    async with client.console(other) as socket:
        assert (await news(socket))["role"] == "writer"
    lease = world.cluster.now(LEASE, "console-server0", NAMESPACE)
    assert lease is not None
    # The killed one was not dead after all: its session is ended by the other's, and it opens none again.
    await asyncio.wait_for(line.was_closed.wait(), PATIENCE_S)
    keeper = owner.consoles._keepers.find(world.server(), world.claim["metadata"]["uid"])
    assert keeper is not None
    await asyncio.wait_for(asyncio.wait([keeper._task]), PATIENCE_S)
    assert keeper.hub.ended is not None
    assert world.bmc.tries == 2


async def test_a_stranger_is_no_peer(rig: Rig) -> None:
    world, owner, _, client = rig
    path = f"https://{owner.address}/internal/consoles/server0"
    claim = world.claim["metadata"]["uid"]
    for headers in ({}, {HEADER_SECRET: "guess"}, {HEADER_SECRET: ""}):
        for url in (path, f"{path}/log"):
            async with client.http.get(url, params={"claim": claim}, headers=headers, ssl=False) as answer:
                assert answer.status == 401


async def test_the_secret_of_the_peers_is_made_once_for_all(rig: Rig) -> None:
    world, owner, other, client = rig
    await client.log(other)
    secret = world.cluster.now(SECRET, PEERS_SECRET, NAMESPACE)
    assert secret is not None
    assert await owner.consoles._secret.token() == await other.consoles._secret.token()
    assert len(await owner.consoles._secret.token()) >= 43


async def test_an_owner_with_another_certificate_is_not_spoken_to(rig: Rig) -> None:
    _, owner, other, client = rig
    other.consoles._peers._server_name = "another.name.svc"
    assert await client.refused(other) == 503
    async with client.console(owner) as socket:
        await news(socket)


async def test_the_console_of_a_free_server_is_open_while_somebody_looks(rig: Rig) -> None:
    world, owner, other, client = rig
    world.held_by(None)
    async with client.console(other) as socket:
        await news(socket)
        line = await world.bmc.nth(2)
        line.prints(b"free")
        assert await shown(socket, 4) == b"free"
    async with asyncio.timeout(PATIENCE_S):
        await line.was_closed.wait()
    assert owner.consoles._keepers.find(world.server(), None) is None


async def test_a_replica_serves_so_many_and_no_more(tmp_path: Path) -> None:
    async with replicas(tmp_path, most=1) as (_, owner, _, client), client.console(owner) as socket:
        await news(socket)
        assert await client.refused(owner, watch="true") == 429


async def test_a_server_that_is_not_there_has_no_console(rig: Rig) -> None:
    _, owner, _, client = rig
    token = await owner.consoles._secret.token()
    url = f"https://{owner.address}/internal/consoles/..%2f..%2fetc"
    async with client.http.get(url, headers={HEADER_SECRET: token}, ssl=False) as answer:
        assert answer.status == 421
