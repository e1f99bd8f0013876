"""Device emulation as the agent asks for it: what is left out of a request, and what a reply is read into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpu_handler.southbound import EmulationClient, Function
from tests.unit.southbound.peer import Line, Request, listening

BACKING = {"vhost_socket": "/run/mp-1"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[EmulationClient]:
    client = EmulationClient(tmp_path / "peer")
    yield client
    client.close()


async def test_requests_name_only_what_was_given(client: EmulationClient, tmp_path: Path) -> None:
    async def serve(line: Line, request: Request) -> None:
        line.answer(request, [])

    async with listening(tmp_path / "peer", serve) as peer:
        await client.function_list()
        await client.plug(1, "virtio_blk", BACKING, boot_index=0)
        await client.plug(2, "virtio_net", {"representor": "vm0"}, mac="52:54:00:00:00:01")
        await client.unplug(2, wait_for_done=True)
    assert [(request["method"], request.get("params")) for request in peer.requests] == [
        ("emulation_function_list", None),
        ("emulation_plug", {"slot": 1, "kind": "virtio_blk", "backing": BACKING, "boot_index": 0}),
        (
            "emulation_plug",
            {"slot": 2, "kind": "virtio_net", "backing": {"representor": "vm0"}, "mac": "52:54:00:00:00:01"},
        ),
        ("emulation_unplug", {"slot": 2, "wait_for_done": True, "force": False}),
    ]


async def test_members_of_a_function_that_are_unknown_here_are_passed_over(
    client: EmulationClient, tmp_path: Path
) -> None:
    entry = {"slot": 1, "kind": "virtio_blk", "backing": BACKING, "state": "plugged", "driver_bound": True}

    async def serve(line: Line, request: Request) -> None:
        line.answer(request, [entry | {"vuid": "MT0"}])

    async with listening(tmp_path / "peer", serve):
        (function,) = await client.function_list()
    assert function == Function(1, "virtio_blk", BACKING, "plugged", driver_bound=True)
