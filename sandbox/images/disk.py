"""Puts a bootable disk together: boot record, GRUB's core image, one partition at 1 MiB."""

import io
from pathlib import Path
from typing import BinaryIO

from sandbox.images.errors import ToolError
from sandbox.images.mbr import SECTOR_BYTES, Partition, boot_record

PARTITION_OFFSET_BYTES = 1024 * 1024
_BLOCK_BYTES = 64 * 1024


def assemble(output: Path, *, filesystem: Path, boot_code: bytes, core_image: bytes, signature: int) -> None:
    """Write the raw disk to output, sparse where the filesystem is; its size is 1 MiB + the filesystem's."""
    room_bytes = PARTITION_OFFSET_BYTES - SECTOR_BYTES
    if len(core_image) > room_bytes:
        cause = f"it has {len(core_image)} bytes, and {room_bytes} lie before the first partition"
        raise ToolError("placing", "GRUB's core image", cause, "Leave modules out of it")
    size_bytes = filesystem.stat().st_size
    partition = Partition(PARTITION_OFFSET_BYTES // SECTOR_BYTES, size_bytes // SECTOR_BYTES)
    with output.open("wb") as disk:
        disk.write(boot_record(boot_code, signature, partition))
        disk.write(core_image)
        disk.seek(PARTITION_OFFSET_BYTES)
        with filesystem.open("rb") as source:
            copy_sparse(source, disk)
        disk.truncate(PARTITION_OFFSET_BYTES + size_bytes)


def copy_sparse(source: BinaryIO, target: BinaryIO) -> None:
    """Copy source from its position to target's, leaving holes where a block of 64 KiB is all zero."""
    while block := source.read(_BLOCK_BYTES):
        if block.count(0) == len(block):
            target.seek(len(block), io.SEEK_CUR)
        else:
            target.write(block)
