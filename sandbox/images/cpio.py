"""Writes an initramfs: a cpio archive in the "newc" format, the same bytes for the same tree.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst: header of 13 fields of 8 hexadecimal digits
behind the magic 070701, name and data each padded to 4 bytes, closed by an entry named TRAILER!!!.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ALIGNMENT = 4
_CONSOLE = (stat.S_IFCHR | 0o600, 5, 1)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def archive(tree: Path) -> bytes:
    """The archive of everything under tree (directories, files, symbolic links), owned by root, without times.

    The node dev/console is added: the kernel opens it before the first program of the archive runs.
    """
    console_mode, major, minor = _CONSOLE
    entries = [*_entries(tree), _Entry("dev/console", console_mode, device=(major, minor))]
    parts = [_encode(entry, inode) for inode, entry in enumerate(entries, start=1)]
    parts.append(_encode(_Entry("TRAILER!!!", 0), 0))
    return b"".join(parts)


def _entries(tree: Path) -> Iterator[_Entry]:
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        mode = path.lstat().st_mode
        if path.is_symlink():
            yield _Entry(name, stat.S_IFLNK | 0o777, os.fsencode(path.readlink()))
        elif path.is_dir():
            yield _Entry(name, stat.S_IFDIR | 0o755)
        else:
            yield _Entry(name, stat.S_IFREG | stat.S_IMODE(mode), path.read_bytes())


def _encode(entry: _Entry, inode: int) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = [inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)
