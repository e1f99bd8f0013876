"""Lists are taken anew after the API server was away, and only then."""

import asyncio
from collections.abc import Sequence

from provider.runtime.errors import Unavailable
from provider.runtime.outages import relist_after_outages


class ApiServer:
    """Answers, or is away, as it is told for each probe; then nobody is asked any more."""

    def __init__(self, answers: Sequence[bool], lists: Sequence[bool] = ()) -> None:
        self._answers = list(answers)
        self._lists = list(lists)
        self.happened: list[str] = []
        self.over = asyncio.Event()

    async def probe(self) -> None:
        if not self._answers:
            self.over.set()
            await asyncio.Event().wait()
        if not self._answers.pop(0):
            self.happened.append("away")
            raise Unavailable("read", subject="it")
        self.happened.append("there")

    async def relist(self) -> bool:
        self.happened.append("list")
        return self._lists.pop(0) if self._lists else True


async def watched(api: ApiServer) -> list[str]:
    watching = asyncio.create_task(relist_after_outages(api.probe, api.relist, probe_s=0.0, after_s=(0.0, 0.0)))
    async with asyncio.timeout(10):
        await api.over.wait()
    watching.cancel()
    return api.happened


async def test_nothing_is_listed_while_nothing_happens() -> None:
    assert await watched(ApiServer([True, True, True])) == ["there", "there", "there"]


async def test_after_an_outage_all_is_listed_until_the_streams_are_back() -> None:
    assert await watched(ApiServer([False, False, True, True])) == ["away", "away", "there", "list", "list", "there"]


async def test_lists_that_cannot_be_had_are_taken_again() -> None:
    api = ApiServer([False, True, True, True], lists=[False, True])
    assert await watched(api) == ["away", "there", "list", "list", "there", "list", "list", "there"]
