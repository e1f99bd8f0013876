"""Does steps. A stage's steps go out together; the next stage follows when all of them are done."""

import asyncio

from dpu_handler.execution import ports
from dpu_handler.execution.dpu import Dpu
from dpu_handler.planning.steps import (
    AddPort,
    AttachNvme,
    CloseFile,
    CorrectPort,
    CreateController,
    DeleteController,
    DetachNvme,
    DisableNvme,
    EnableNvme,
    OpenFile,
    Plan,
    PlugDisk,
    PlugNIC,
    RemovePort,
    Step,
    Unplug,
)

BLOCK_SIZE_BYTES = 512


async def carry_out(dpu: Dpu, plan: Plan) -> None:
    """Do all of the plan. Raises the first failure of a stage once every step of that stage has an outcome."""
    for stage in plan:
        results = await asyncio.gather(*(_do(dpu, step) for step in stage), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result


async def _do(dpu: Dpu, step: Step) -> None:
    match step:
        case AddPort() | CorrectPort() | RemovePort():
            await _port(dpu, step)
        case PlugDisk() | PlugNIC() | Unplug():
            await _function(dpu, step)
        case _:
            await _target(dpu, step)


async def _target(
    dpu: Dpu,
    step: (
        AttachNvme | DetachNvme | DisableNvme | EnableNvme | OpenFile | CloseFile | CreateController | DeleteController
    ),
) -> None:
    match step:
        case AttachNvme(params=params):
            await dpu.spdk.attach_nvme(params)
        case DetachNvme(controller=name):
            await dpu.spdk.detach_nvme(name)
        case DisableNvme(controller=name):
            await dpu.spdk.disable_nvme(name)
        case EnableNvme(controller=name):
            await dpu.spdk.enable_nvme(name)
        case OpenFile(bdev=name, path=path):
            opened = {"name": name, "filename": path, "block_size": BLOCK_SIZE_BYTES, "readonly": True}
            await dpu.spdk.call("bdev_aio_create", opened)
        case CloseFile(bdev=name):
            await dpu.spdk.call("bdev_aio_delete", {"name": name})
        case CreateController(controller=name, bdev=bdev, read_only=read_only):
            served = {"ctrlr": name, "dev_name": bdev} | ({"readonly": True} if read_only else {})
            await dpu.spdk.call("vhost_create_blk_controller", served)
        case DeleteController(controller=name):
            await dpu.spdk.delete_vhost_controller(name)


async def _function(dpu: Dpu, step: PlugDisk | PlugNIC | Unplug) -> None:
    match step:
        case PlugDisk(slot=slot, vhost_socket=socket, boot_index=boot_index):
            await dpu.emulation.plug(slot, "virtio_blk", {"vhost_socket": socket}, boot_index=boot_index)
        case PlugNIC(slot=slot, representor=representor, mac=mac):
            await dpu.emulation.plug(slot, "virtio_net", {"representor": representor}, mac=mac)
        case Unplug(slot=slot, force=force):
            await dpu.emulation.unplug(slot, wait_for_done=True, force=force)


async def _port(dpu: Dpu, step: AddPort | CorrectPort | RemovePort) -> None:
    match step:
        case AddPort():
            await ports.add(dpu, step)
        case CorrectPort():
            await ports.correct(dpu, step)
        case RemovePort(port=port):
            await ports.remove(dpu, port)
