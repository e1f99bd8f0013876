"""An export that is taken away under a running server: its requests wait, and fail once the DPU's target lets go."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpu_handler.planning.disk import Disk
from tests.conformance.spdk.node import MIB, SERVER, DpuNode, StorageNode, disk
from tests.conformance.spdk.vhost_user import DATA_BYTES, IO_ERROR, OK, VhostUserDisk
from tests.conformance.spdk.wire import Wire
from tests.waiting import wait_for

OLD, NEW = b"old." * (DATA_BYTES // 4), b"new." * (DATA_BYTES // 4)
WAITS_S = 2.5
"""More than two attempts of an initiator whose ``reconnect_delay_sec`` is 1."""
Context = dict[str, str]


def remove_host(storage: Wire, context: Context) -> None:
    storage.call("nvmf_subsystem_remove_host", nqn=context["subnqn"], host=context["hostnqn"])


def delete_subsystem(storage: Wire, context: Context) -> None:
    storage.call("nvmf_delete_subsystem", nqn=context["subnqn"])


def remove_namespace(storage: Wire, context: Context) -> None:
    storage.call("nvmf_subsystem_remove_ns", nqn=context["subnqn"], nsid=1)


def state(dpu: Wire) -> str:
    (attached,) = dpu.call("bdev_nvme_get_controllers")
    word: str = attached["ctrlrs"][0]["state"]
    return word


def served(dpu: Wire) -> dict[str, Any]:
    (controller,) = dpu.call("vhost_get_controllers")
    return {"sessions": len(controller["sessions"]), "bdev": controller["backend_specific"]["block"]["bdev"]}


def connect(dpu: Wire) -> VhostUserDisk:
    (controller,) = dpu.call("vhost_get_controllers")
    return VhostUserDisk(Path(controller["socket"]))


async def call(wire: Wire, method: str, **params: Any) -> Any:
    """The tap in front of the target needs the loop meanwhile."""
    return await asyncio.to_thread(wire.call, method, **params)


async def serve(name: str, storage_side: StorageNode, dpu_side: DpuNode) -> tuple[str, Context, Disk]:
    """A new volume, what it was published as, and the disk that it is served as."""
    volume = await storage_side.clone(name, 64 * MIB)
    context = await storage_side.publish(volume, SERVER)
    wanted = disk(context)
    await dpu_side.converge(wanted)
    return volume, context, wanted


async def server_gone(dpu: Wire) -> None:
    await asyncio.to_thread(wait_for, lambda: served(dpu)["sessions"] == 0, "the target sees its server go")


async def serve_again(storage_side: StorageNode, dpu_side: DpuNode, dpu: Wire, volume: str) -> None:
    """As for another start of the server: the volume is published anew, and all of the disk is made again."""
    wanted = disk(await storage_side.publish(volume, SERVER))
    await dpu_side.converge(wanted)
    with connect(dpu) as server:
        assert await asyncio.to_thread(server.read_now, 0) == (OK, OLD)
        assert await asyncio.to_thread(server.write_now, 0, NEW) == OK


@pytest.mark.parametrize("revoke", [remove_host, delete_subsystem])
async def test_requests_wait_for_a_revoked_export_and_fail_with_the_detach(
    revoke: Callable[[Wire, Context], None], storage_side: StorageNode, dpu_side: DpuNode, storage: Wire, dpu: Wire
) -> None:
    volume, context, wanted = await serve("revoked", storage_side, dpu_side)
    with connect(dpu) as server:
        assert await asyncio.to_thread(server.write_now, 0, OLD) == OK
        await asyncio.to_thread(revoke, storage, context)
        waiting = [server.write(0, NEW), server.read(DATA_BYTES)]
        await asyncio.to_thread(wait_for, lambda: state(dpu) == "reconnect_is_delayed", "the loss is seen", 5.0)
        await asyncio.sleep(WAITS_S)
        assert [server.status(slot) for slot in waiting] == [None, None]
        assert served(dpu) == {"sessions": 1, "bdev": f"{context_name(context)}n1"}
        await call(dpu, "bdev_nvme_detach_controller", name=context_name(context))
        assert [await asyncio.to_thread(server.ended, slot, 5.0) for slot in waiting] == [IO_ERROR, IO_ERROR]
        assert await asyncio.to_thread(server.write_now, 0, NEW) == IO_ERROR
        assert await asyncio.to_thread(lambda: server.read_now(0)[0]) == IO_ERROR
        assert (served(dpu), dpu.call("bdev_get_bdevs")) == ({"sessions": 1, "bdev": None}, [])
    await server_gone(dpu)
    await call(dpu, "vhost_delete_controller", ctrlr=wanted.controller)
    await storage_side.unpublish(volume, SERVER)
    await serve_again(storage_side, dpu_side, dpu, volume)


async def test_a_namespace_that_is_removed_takes_its_bdev_along(
    storage_side: StorageNode, dpu_side: DpuNode, storage: Wire, dpu: Wire
) -> None:
    volume, context, wanted = await serve("removed", storage_side, dpu_side)
    with connect(dpu) as server:
        assert await asyncio.to_thread(server.write_now, 0, OLD) == OK
        await asyncio.to_thread(remove_namespace, storage, context)
        await asyncio.to_thread(wait_for, lambda: served(dpu)["bdev"] is None, "the bdev goes", 5.0)
        assert await asyncio.to_thread(server.write_now, 0, NEW) == IO_ERROR
        assert (served(dpu)["sessions"], state(dpu), dpu.call("bdev_get_bdevs")) == (1, "enabled", [])
    await server_gone(dpu)
    # It is found again when the namespace is there again, and the vhost controller is not bound to it.
    await call(storage, "nvmf_subsystem_add_ns", nqn=context["subnqn"], namespace={"bdev_name": volume, "nsid": 1})
    await asyncio.to_thread(wait_for, lambda: len(dpu.call("bdev_get_bdevs")) == 1, "the bdev is back", 5.0)
    assert served(dpu)["bdev"] is None
    await dpu_side.remove(wanted)
    await storage_side.unpublish(volume, SERVER)
    await serve_again(storage_side, dpu_side, dpu, volume)


def context_name(context: Context) -> str:
    """Name under which the agent attaches the volume."""
    backing = disk(context).backing
    name: str = getattr(backing, "controller", "")
    return name
