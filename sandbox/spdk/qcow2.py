"""qcow2 files: made and copied with qemu-img, and counted by reading their tables.

Source of the format: QEMU, docs/interop/qcow2.txt (header, L1 and L2 table entries).
"""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

_HEADER = struct.Struct(">4sIQIIQIIQ")
_MAGIC = b"QFI\xfb"
_OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
_ZERO_FLAG = 1


class QemuImgError(Exception):
    """qemu-img refused; the message is its own."""


async def create(
    path: Path, size_bytes: int, cluster_bytes: int, *, backing: tuple[Path, str] | None = None, full: bool = False
) -> None:
    """A new file, whole or not at all. `backing` is a file and its format; `full` reserves every cluster."""
    temporary = path.with_suffix(".new")
    options = f"cluster_size={cluster_bytes}" + (",preallocation=metadata" if full else "")
    arguments = ["create", "-q", "-f", "qcow2", "-o", options]
    if backing is not None:
        # -u: whoever has the backing open would be in the way of a look at it.
        arguments += ["-u", "-b", str(backing[0]), "-F", backing[1]]
    await _qemu_img(*arguments, str(temporary), str(size_bytes))
    temporary.rename(path)


async def resize(path: Path, size_bytes: int) -> None:
    """Give the file another size; shrinking loses what lies beyond, as it does on a real target."""
    await _qemu_img("resize", "-q", "-f", "qcow2", "--shrink", str(path), str(size_bytes))


async def copy_whole(path: Path, cluster_bytes: int) -> None:
    """Copy all that the file and its backing hold into the file alone: every cluster is allocated after it."""
    temporary = path.with_suffix(".new")
    options = f"cluster_size={cluster_bytes}"
    await _qemu_img("convert", "-q", "-f", "qcow2", "-O", "qcow2", "-S", "0", "-o", options, str(path), str(temporary))
    temporary.rename(path)


async def change_backing(path: Path, backing: tuple[Path, str] | None) -> None:
    """Take what the present backing holds into the file, and stand on `backing` from now on."""
    target = ["-b", str(backing[0]), "-F", backing[1]] if backing is not None else ["-b", ""]
    await _qemu_img("rebase", "-q", "-f", "qcow2", *target, str(path))


def allocated_clusters(path: Path) -> int:
    """Clusters that the file itself holds, its backing left aside."""
    with path.open("rb") as file:
        header = _HEADER.unpack(file.read(_HEADER.size))
        magic, cluster_bits, l1_entries, l1_offset = header[0], header[4], header[7], header[8]
        if magic != _MAGIC:
            raise QemuImgError(f"{path} is no qcow2 file")
        file.seek(l1_offset)
        l1_table = struct.unpack(f">{l1_entries}Q", file.read(8 * l1_entries))
        count = 0
        for l1_entry in l1_table:
            if offset := l1_entry & _OFFSET_MASK:
                file.seek(offset)
                entries = file.read(1 << cluster_bits)
                l2_table = struct.unpack(f">{len(entries) // 8}Q", entries)
                count += sum(1 for entry in l2_table if entry & _OFFSET_MASK and not entry & _ZERO_FLAG)
    return count


def link(path: Path, taken: Path) -> None:
    """Give the file a second name."""
    taken.hardlink_to(path)


def remove(path: Path) -> None:
    """Delete the file."""
    path.unlink()


async def _qemu_img(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "qemu-img",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise QemuImgError(errors.decode(errors="replace").strip())
