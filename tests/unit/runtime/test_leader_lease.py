"""Leadership: taken over only after the holder was silent long enough by our own clock; lost means no more writes."""

from collections.abc import Callable
from typing import Any

import pytest

from provider.api.resources import LEASE
from provider.runtime.controller import Json
from provider.runtime.errors import LeadershipLost, Unavailable
from provider.runtime.lease import Heartbeat, LeaderLease, LeaseFreshness
from tests.unit.runtime.model_cluster import ModelCluster


class Clock:
    """Seconds since boot, as a test wants them."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster() -> ModelCluster:
    return ModelCluster()


@pytest.fixture
def seat(cluster: ModelCluster, clock: Clock) -> Callable[[str], LeaderLease]:
    def make(identity: str) -> LeaderLease:
        return LeaderLease(cluster, "system", "leader", identity, clock=clock, retry_s=0.001)

    return make


def holder(cluster: ModelCluster) -> str:
    lease = cluster.now(LEASE, "leader", "system")
    assert lease is not None
    identity: str = lease["spec"]["holderIdentity"]
    return identity


def may_write(lease: LeaderLease) -> bool:
    try:
        lease.check()
    except LeadershipLost:
        return False
    return True


async def test_nobody_may_write_before_the_lease_is_his(seat: Callable[[str], LeaderLease]) -> None:
    a = seat("a")
    assert not may_write(a)
    await a.acquire()
    assert may_write(a)


@pytest.mark.parametrize("verb", ["get", "create", "replace"])
async def test_an_api_server_that_fails_while_the_lease_is_taken_is_asked_again(
    seat: Callable[[str], LeaderLease], cluster: ModelCluster, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    if verb == "replace":
        cluster.have(LEASE, {"metadata": {"name": "leader", "namespace": "system"}, "spec": {}})
    works, answers = getattr(cluster, verb), [Unavailable(f"{verb} Lease", subject="leader", status=503)]

    async def fails_once(*args: Any, **named: Any) -> Any:
        if answers:
            raise answers.pop()
        return await works(*args, **named)

    monkeypatch.setattr(cluster, verb, fails_once)
    a = seat("a")
    assert not await a._try_acquire()
    assert not may_write(a)
    assert await a._try_acquire()
    assert may_write(a)


async def test_a_lease_that_was_taken_by_a_write_without_an_answer_is_ours_at_the_next_look(
    seat: Callable[[str], LeaderLease], cluster: ModelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = cluster.create

    async def answer_lost(*args: Any, **named: Any) -> Json:
        await works(*args, **named)
        raise Unavailable("create Lease", subject="leader")

    monkeypatch.setattr(cluster, "create", answer_lost)
    a = seat("a")
    assert not await a._try_acquire()
    assert not may_write(a)
    assert await a._try_acquire()
    assert (holder(cluster), may_write(a)) == ("a", True)


async def test_a_second_process_waits_and_takes_over_when_the_first_is_silent(
    seat: Callable[[str], LeaderLease], clock: Clock, cluster: ModelCluster
) -> None:
    a, b = seat("a"), seat("b")
    await a.acquire()
    assert not await b._try_acquire()
    clock.now_s += 14.9
    assert not await b._try_acquire()
    assert not may_write(a), "the first stops before the second may begin"
    clock.now_s += 0.2
    assert await b._try_acquire()
    assert (holder(cluster), may_write(b), may_write(a)) == ("b", True, False)


async def test_who_waits_stands_by_as_long_as_he_sees_the_lease_and_could_follow(
    seat: Callable[[str], LeaderLease], cluster: ModelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = seat("a"), seat("b")
    await a.acquire()
    assert not a.standing_by.is_set()
    assert not b.standing_by.is_set(), "it has not looked yet"
    assert not await b._try_acquire()
    assert b.standing_by.is_set()

    async def away(*_: object, **__: object) -> Json:
        raise Unavailable("get Lease", subject="leader")

    with monkeypatch.context() as broken:
        broken.setattr(cluster, "get", away)
        assert not await b._try_acquire()
    assert not b.standing_by.is_set()
    assert not await b._try_acquire()
    assert b.standing_by.is_set()
    await a.release()
    await b.acquire()
    assert not b.standing_by.is_set(), "it leads now, and is ready once it reconciles"


async def test_a_renewal_starts_the_others_wait_anew(seat: Callable[[str], LeaderLease], clock: Clock) -> None:
    a, b = seat("a"), seat("b")
    await a.acquire()
    for _ in range(5):
        assert not await b._try_acquire()
        clock.now_s += 9
        await a._renew()
        assert may_write(a)


async def test_there_is_never_a_moment_in_which_two_may_write(
    seat: Callable[[str], LeaderLease], clock: Clock, cluster: ModelCluster
) -> None:
    a, b = seat("a"), seat("b")
    await a.acquire()
    for step in range(400):
        if step < 40:
            await a._renew()
        await b._try_acquire()
        assert not (may_write(a) and may_write(b))
        clock.now_s += 0.1
    assert may_write(b)


async def test_wall_clocks_of_other_machines_are_not_believed(
    seat: Callable[[str], LeaderLease], cluster: ModelCluster
) -> None:
    long_ago: Json = {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": "1999-01-01T00:00:00.000000Z"}
    cluster.have(LEASE, {"metadata": {"name": "leader", "namespace": "system"}, "spec": long_ago})
    assert not await seat("a")._try_acquire()


async def test_the_same_seat_takes_its_lease_over_at_once_and_the_older_process_stops(
    seat: Callable[[str], LeaderLease], cluster: ModelCluster
) -> None:
    older, newer = seat("a"), seat("a")
    await older.acquire()
    assert await newer._try_acquire()
    with pytest.raises(LeadershipLost):
        await older._renew()
    assert (may_write(older), may_write(newer)) == (False, True)


async def test_a_lease_that_was_released_is_free_at_once(seat: Callable[[str], LeaderLease]) -> None:
    a, b = seat("a"), seat("b")
    await a.acquire()
    await a.release()
    assert not may_write(a)
    assert await b._try_acquire()


async def test_a_holder_whose_renewals_fail_for_too_long_stops(
    seat: Callable[[str], LeaderLease], clock: Clock, cluster: ModelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = seat("a")
    await a.acquire()

    async def away(*_: object, **__: object) -> Json:
        clock.now_s += 4
        raise Unavailable("replace Lease", subject="leader")

    monkeypatch.setattr(cluster, "replace", away)
    with pytest.raises(LeadershipLost, match="has not renewed it within 10 s"):
        await a.hold()
    assert not may_write(a)


async def test_somebody_elses_hand_on_the_lease_is_no_loss(
    seat: Callable[[str], LeaderLease], cluster: ModelCluster
) -> None:
    a = seat("a")
    await a.acquire()
    lease = await cluster.get(LEASE, "leader", "system")
    cluster.have(LEASE, {**lease, "metadata": lease["metadata"] | {"labels": {"looked-at": "yes"}}})
    await a._renew()
    assert may_write(a)
    await a._renew()


async def test_a_heartbeat_is_fresh_for_its_duration_after_we_saw_it_change(
    cluster: ModelCluster, clock: Clock
) -> None:
    freshness = LeaseFreshness(clock)
    beat = Heartbeat(cluster, "system", "leader", "agent", annotations={"metalplane.io/node-id": "n"})

    async def remaining_s() -> float:
        return freshness.remaining_s(await cluster.get(LEASE, "leader", "system"))

    await beat.beat()
    assert await remaining_s() == 15
    clock.now_s += 10
    assert await remaining_s() == 5
    clock.now_s += 10
    assert await remaining_s() == -5
    await beat.beat()
    assert await remaining_s() == 15
