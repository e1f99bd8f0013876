"""The work queue: one key at a time by one worker, two lanes, back-off."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.runtime.controller import Lane
from provider.runtime.queue import BACKOFF_FIRST_S, BACKOFF_LIMIT_S, WorkQueue

DEADLINE_S = 5.0


async def taken(queue: WorkQueue[str]) -> str:
    """The next key, which must be there or come within the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        key = await queue.get()
    assert key is not None
    return key


def has_nothing(queue: WorkQueue[str]) -> bool:
    """Whether a worker that asks now would have to wait."""
    asking = queue.get()
    try:
        asking.send(None)
    except StopIteration:
        return False
    finally:
        asking.close()
    return True


async def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    queue = WorkQueue[str](1)
    for key in "abc":
        queue.add(key)
    assert [await taken(queue) for _ in range(3)] == ["a", "b", "c"]


async def test_a_key_that_is_added_often_is_worked_on_once() -> None:
    queue = WorkQueue[str](2)
    for _ in range(5):
        queue.add("a")
    assert await taken(queue) == "a"
    assert has_nothing(queue)


async def test_a_key_is_never_handed_to_two_workers_and_no_change_is_lost() -> None:
    queue = WorkQueue[str](2)
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("a")
    assert has_nothing(queue), "it is running"
    queue.done("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert has_nothing(queue)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40), st.integers(1, 4))
def test_whatever_is_added_is_worked_on_afterwards_by_one_worker_at_a_time(
    additions: list[tuple[str, bool]], workers: int
) -> None:
    asyncio.run(_work_all(additions, workers))


async def _work_all(additions: list[tuple[str, bool]], workers: int) -> None:
    queue = WorkQueue[str](workers)
    running: Counter[str] = Counter()
    owed: set[str] = set()

    async def work() -> None:
        while (key := await queue.get()) is not None:
            running[key] += 1
            assert running[key] == 1
            owed.discard(key)
            await asyncio.sleep(0)
            running[key] -= 1
            queue.done(key)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
        for key, drift in additions:
            owed.add(key)
            queue.add(key, Lane.DRIFT if drift else Lane.NEW)
            await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE_S):
            while not queue.idle:  # noqa: ASYNC110  (the workers are tasks of this loop)
                await asyncio.sleep(0)
        queue.close()
    assert owed == set()


async def test_new_work_goes_before_drift_and_does_not_starve_it() -> None:
    queue = WorkQueue[str](1)
    queue.add("drift", Lane.DRIFT)
    for number in range(20):
        queue.add(f"new-{number}")
    order = []
    for _ in range(21):
        order.append(await taken(queue))
        queue.done(order[-1])
    assert order[0] == "new-0"
    assert order.index("drift") == 8


async def test_drift_never_holds_the_last_free_worker() -> None:
    queue = WorkQueue[str](2)
    queue.add("poll-1", Lane.DRIFT)
    queue.add("poll-2", Lane.DRIFT)
    assert await taken(queue) == "poll-1"
    assert has_nothing(queue), "the second worker is kept for new work"
    queue.add("new")
    assert await taken(queue) == "new"


async def test_a_polled_key_moves_up_when_somebody_waits_for_it() -> None:
    queue = WorkQueue[str](1)
    for key in "ab":
        queue.add(key, Lane.DRIFT)
    queue.add("b", Lane.NEW)
    assert await taken(queue) == "b"


async def test_a_requeue_comes_back_by_itself_and_an_event_comes_before_it() -> None:
    queue = WorkQueue[str](1)
    queue.add_after("soon", 0.01)
    queue.add_after("late", 3600)
    assert has_nothing(queue)
    assert await taken(queue) == "soon"
    queue.done("soon")
    queue.add("late")
    assert await taken(queue) == "late"
    queue.done("late")
    assert has_nothing(queue), "the event took the place of the requeue"


async def test_the_back_off_doubles_up_to_its_limit_and_success_resets_it() -> None:
    queue = WorkQueue[str](1, jitter=lambda: 1.0)
    delays = [queue.retry("a") for _ in range(12)]
    assert delays[:3] == [BACKOFF_FIRST_S, 2 * BACKOFF_FIRST_S, 4 * BACKOFF_FIRST_S]
    assert delays[-1] == BACKOFF_LIMIT_S
    assert delays == sorted(delays)
    queue.succeeded("a")
    assert queue.retry("a") == BACKOFF_FIRST_S
    queue.close()


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
async def test_jitter_takes_at_most_half_of_a_delay(jitter: float) -> None:
    queue = WorkQueue[str](1, jitter=lambda: jitter)
    assert BACKOFF_FIRST_S / 2 <= queue.retry("a") <= BACKOFF_FIRST_S
    queue.close()


async def test_a_failing_key_does_not_hold_up_others() -> None:
    queue = WorkQueue[str](1)
    queue.retry("bad")
    queue.add("good")
    assert await taken(queue) == "good"
    queue.close()


async def test_a_closed_queue_wakes_its_workers_and_takes_nothing_more() -> None:
    queue = WorkQueue[str](1)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    async with asyncio.timeout(DEADLINE_S):
        assert await waiting is None
    queue.add("a")
    queue.add_after("b", 0)
    assert queue.idle
    assert await queue.get() is None
