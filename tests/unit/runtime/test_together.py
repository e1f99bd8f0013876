"""The parts of a process end with each other, and the error says which one was the first."""

import asyncio
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from provider import __main__ as process
from provider.runtime.errors import LeadershipLost, TaskEnded
from provider.runtime.events import EventRecorder
from provider.runtime.lease import LeaderLease
from provider.runtime.together import together

WITHIN_S = 10.0


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fail(error: Exception) -> None:
    raise error


async def test_what_runs_beside_ends_with_the_work() -> None:
    ended = asyncio.Event()

    async def beside() -> None:
        try:
            await for_ever()
        finally:
            ended.set()

    await together(asyncio.sleep(0), {"beside": beside()})
    assert ended.is_set()


async def test_an_error_of_the_work_is_told_as_it_is() -> None:
    with pytest.raises(ValueError, match="no kubeconfig"):
        await together(fail(ValueError("no kubeconfig")), {"beside": for_ever()})


async def test_an_unforeseen_end_beside_the_work_names_the_task() -> None:
    defect = ValueError("a date that is none")
    with pytest.raises(TaskEnded, match="task beside") as caught:
        await together(for_ever(), {"beside": fail(defect)})
    assert caught.value.__cause__ is defect
    with pytest.raises(TaskEnded, match="task beside"):
        await together(for_ever(), {"beside": asyncio.sleep(0)})


async def test_an_error_of_ours_beside_the_work_is_told_as_it_is() -> None:
    lost = LeadershipLost("keep", subject="Lease system/leader")
    with pytest.raises(LeadershipLost) as caught:
        await together(for_ever(), {"hold": fail(lost)})
    assert caught.value is lost


@pytest.fixture
def args(tmp_path: Path) -> Namespace:
    """A provider whose API server does not answer, which is nothing to end for."""
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "x"}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return process.arguments([f"--kubeconfig={kubeconfig}", "--engine=off"])


@pytest.fixture
def leading(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_: LeaderLease) -> None:
        return

    monkeypatch.setattr(LeaderLease, "acquire", at_once)


async def test_the_provider_ends_when_it_has_lost_its_lease(
    args: Namespace, leading: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = LeadershipLost("keep", subject="Lease system/leader")
    monkeypatch.setattr(LeaderLease, "hold", lambda _: fail(lost))
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(LeadershipLost):
            await process.serve(args)


@pytest.mark.parametrize(("part", "owner", "method"), [("hold", LeaderLease, "hold"), ("events", EventRecorder, "run")])
async def test_the_provider_ends_when_a_part_of_it_breaks(
    args: Namespace, leading: None, monkeypatch: pytest.MonkeyPatch, part: str, owner: type, method: str
) -> None:
    monkeypatch.setattr(owner, method, lambda _: fail(KeyError("defect")))
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(TaskEnded, match=f"task {part}"):
            await process.serve(args)
