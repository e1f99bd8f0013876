"""One owner for each console: taken once, kept while it lives, taken over when it is dead, shared among replicas."""

from collections import Counter
from collections.abc import Callable

import pytest

from provider.api.resources import LEASE, SERVER
from provider.api.server import Server
from provider.apiserver.console.ownership import Ownership, lease_name, preferred
from provider.apiserver.console.planning import Owner
from provider.apiserver.console.replicas import LOOK_EVERY_S, Replicas
from provider.runtime.errors import Unavailable
from tests.unit.planning import builders
from tests.unit.runtime.model_cluster import ModelCluster

NAMESPACE = "system"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Replica:
    """One replica's view. ``round`` is what it does every 5 s."""

    def __init__(self, cluster: ModelCluster, clock: Clock, identity: str) -> None:
        self.clock = clock
        self.replicas = Replicas(cluster, NAMESPACE, identity, f"{identity}:443", clock=clock)
        self.ownership = Ownership(cluster, NAMESPACE, self.replicas, clock=clock)
        self.told: list[set[str]] = []
        self.ownership.changed = self.told.append

    async def round(self) -> None:
        await self.replicas.beat()
        await self.replicas.look()
        await self.ownership.refresh()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster() -> ModelCluster:
    return ModelCluster(SERVER)


@pytest.fixture
def replica(cluster: ModelCluster, clock: Clock) -> Callable[[str], Replica]:
    return lambda identity: Replica(cluster, clock, identity)


def server(cluster: ModelCluster, name: str = "server0") -> Server:
    return Server.parse(cluster.have(SERVER, builders.server(name)))


async def rounds(clock: Clock, seconds: float, *replicas: Replica) -> None:
    """Time passes for these replicas; the others are dead."""
    for _ in range(int(seconds / LOOK_EVERY_S)):
        clock.now_s += LOOK_EVERY_S
        for each in replicas:
            await each.round()


async def test_the_first_takes_it_and_the_others_know_where_it_is(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a, b = replica("a"), replica("b")
    box = server(cluster)
    assert not a.ownership.is_known
    await rounds(clock, 5, a, b)
    await rounds(clock, 5, a, b)
    assert a.ownership.is_known
    assert a.ownership.owner("server0") is Owner.NOBODY
    assert await a.ownership.take(box)
    assert not await b.ownership.take(box)
    assert (a.ownership.owner("server0"), b.ownership.owner("server0")) == (Owner.OURS, Owner.THEIRS)
    assert b.ownership.address("server0") == "a:443"
    assert await a.ownership.confirm("server0")
    assert not await b.ownership.confirm("server0")


async def test_a_lease_is_written_when_the_owner_changes_and_never_else(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a = replica("a")
    await rounds(clock, 5, a)
    await a.ownership.take(server(cluster))
    before = cluster.now(LEASE, "console-server0", NAMESPACE)
    await rounds(clock, 300, a)
    assert a.ownership.owner("server0") is Owner.OURS
    assert cluster.now(LEASE, "console-server0", NAMESPACE) == before
    assert before is not None
    assert before["metadata"]["ownerReferences"][0]["uid"] == "uid-server0"


async def test_a_dead_owner_is_found_out_and_succeeded_by_one(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a, b, c = replica("a"), replica("b"), replica("c")
    box = server(cluster)
    await rounds(clock, 10, a, b, c)
    await a.ownership.take(box)
    await rounds(clock, 10, b, c)
    assert b.ownership.owner("server0") is Owner.THEIRS, "it may be slow"
    await rounds(clock, 10, b, c)
    assert b.ownership.owner("server0") is Owner.NOBODY
    assert {"console-server0"} in b.told
    turns = [each for each in (b, c) if each.ownership.is_our_turn("server0")]
    assert len(turns) == 1
    assert await turns[0].ownership.take(box)
    assert not await a.ownership.confirm("server0"), "the old owner finds out before it opens a session again"
    assert a.ownership.owner("server0") is not Owner.OURS
    assert {"console-server0"} in a.told


async def test_two_who_find_it_free_at_once_are_told_apart(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a, b, c = replica("a"), replica("b"), replica("c")
    box = server(cluster)
    await rounds(clock, 10, a, b, c)
    await a.ownership.take(box)
    await rounds(clock, 20, b, c)
    assert [await b.ownership.take(box), await c.ownership.take(box)] == [True, False]
    assert c.ownership.address("server0") == "b:443"


async def test_whoever_leaves_is_succeeded_at_the_next_look(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a, b = replica("a"), replica("b")
    box = server(cluster)
    await rounds(clock, 10, a, b)
    await a.ownership.take(box)
    await a.replicas.leave()
    await rounds(clock, 5, b)
    assert b.ownership.owner("server0") is Owner.NOBODY
    assert b.ownership.is_our_turn("server0")
    assert not a.replicas.is_seen
    assert not await a.ownership.take(box)


async def test_who_is_not_seen_alive_takes_nothing_and_confirms_nothing(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a = replica("a")
    box = server(cluster)
    await rounds(clock, 5, a)
    await a.ownership.take(box)
    clock.now_s += 10.0
    assert not await a.ownership.confirm("server0")
    assert not await a.ownership.take(server(cluster, "server1"))
    await a.round()
    assert await a.ownership.confirm("server0")


async def test_an_api_server_that_was_away_kills_nobody(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a, b = replica("a"), replica("b")
    box = server(cluster)
    await rounds(clock, 10, a, b)
    await a.ownership.take(box)
    await b.ownership.refresh()
    clock.now_s += 300.0
    await b.round()
    assert b.ownership.owner("server0") is Owner.THEIRS
    await rounds(clock, 5, a, b)
    assert b.ownership.owner("server0") is Owner.THEIRS


async def test_a_failed_heartbeat_is_tried_again(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a = replica("a")
    cluster.fail_next(Unavailable("apply Lease", subject="api-a"))
    await a.round()
    assert not a.replicas.is_seen
    await a.round()
    assert a.replicas.is_seen


async def test_the_same_seat_goes_on_with_what_it_had(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a = replica("a")
    await rounds(clock, 5, a)
    await a.ownership.take(server(cluster))
    again = replica("a")
    await again.round()
    assert again.ownership.owner("server0") is Owner.OURS


async def test_a_lease_of_a_replica_long_dead_is_deleted(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a, b = replica("a"), replica("b")
    await rounds(clock, 5, a, b)
    await rounds(clock, 600, b)
    assert cluster.now(LEASE, "api-a", NAMESPACE) is not None
    await rounds(clock, 60, b)
    assert cluster.now(LEASE, "api-a", NAMESPACE) is None
    assert cluster.now(LEASE, "api-b", NAMESPACE) is not None


async def test_a_console_that_its_turn_does_not_take_is_anybodys(
    cluster: ModelCluster, replica: Callable[[str], Replica], clock: Clock
) -> None:
    a, b = replica("a"), replica("b")
    await rounds(clock, 10, a, b)
    other = next(each for each in (a, b) if not each.ownership.is_our_turn("server0"))
    await rounds(clock, 10, a, b)
    assert not other.ownership.is_our_turn("server0")
    await rounds(clock, 5, a, b)
    assert other.ownership.is_our_turn("server0")


def test_consoles_are_shared_and_few_move_when_a_replica_goes() -> None:
    servers = [f"server{number}" for number in range(900)]
    before = {name: preferred(name, ["a", "b", "c"]) for name in servers}
    after = {name: preferred(name, ["c", "a"]) for name in servers}
    assert all(240 < count < 360 for count in Counter(before.values()).values())
    assert all(after[name] == before[name] for name in servers if before[name] != "b")


def test_the_name_of_a_lease_fits() -> None:
    assert lease_name("server0") == "console-server0"
    assert len(lease_name("s" * 253)) <= 253
    assert lease_name("s" * 253) != lease_name("t" * 253)
