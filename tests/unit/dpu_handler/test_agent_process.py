"""The agent's process ends when a part of it ends, so that whoever supervises it starts it anew."""

import asyncio
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpu_handler import __main__ as agent
from provider.runtime.errors import TaskEnded
from provider.runtime.events import EventRecorder
from provider.runtime.lease import Heartbeat
from provider.runtime.orphans import OrphanController

WITHIN_S = 10.0


@pytest.fixture
def args(tmp_path: Path) -> Namespace:
    """An agent whose API server and DPU do not answer, which is nothing to end for."""
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "x"}
    kubeconfig.write_text(yaml.safe_dump(config))
    sockets = {name: tmp_path / name for name in ("spdk_socket", "ovsdb_socket", "emulation_socket")}
    return Namespace(
        kubeconfig=kubeconfig,
        dpu="dpu-1",
        namespace="metalplane-dpu-1",
        node_id=None,
        vhost_dir=None,
        bridge="br0",
        state_dir=tmp_path,
        trace_dir=None,
        health_port=0,
        **sockets,
    )


@pytest.mark.parametrize("part", ["drift", "heartbeat", "events", "orphans"])
@pytest.mark.parametrize("error", [None, ValueError("a date that is none")], ids=["ends", "fails"])
async def test_the_process_ends_with_an_error_when_a_part_of_it_does(
    args: Namespace, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception | None
) -> None:
    async def end(*_: Any) -> None:
        if error is not None:
            raise error

    replaced = {
        "drift": (agent, "watch_for_drift"),
        "heartbeat": (Heartbeat, "run"),
        "events": (EventRecorder, "run"),
        "orphans": (OrphanController, "keep"),
    }
    monkeypatch.setattr(*replaced[part], end)
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(TaskEnded, match=part) as caught:
            await agent.serve(args)
    assert caught.value.__cause__ is error
