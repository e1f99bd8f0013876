"""The parts of a disk that are written byte by byte."""

import io
import struct
from pathlib import Path

import pytest

from sandbox.images import cpio
from sandbox.images.disk import PARTITION_OFFSET_BYTES, assemble, copy_sparse
from sandbox.images.errors import ToolError
from sandbox.images.mbr import Partition, boot_record, read_partition
from sandbox.images.modules import closure, read_dependencies


def test_a_boot_record_keeps_code_and_table_apart() -> None:
    sector = boot_record(b"\x90" * 512, 0x12345678, Partition(2048, 129024))
    assert len(sector) == 512
    assert sector[:440] == b"\x90" * 440
    assert struct.unpack_from("<I", sector, 440) == (0x12345678,)
    assert sector[446] == 0x80  # active
    assert sector[450] == 0x83  # Linux
    assert sector[462:510] == bytes(48)  # no other partition
    assert read_partition(sector) == Partition(2048, 129024)


def test_a_zeroed_boot_sector_is_no_boot_record() -> None:
    with pytest.raises(ValueError, match="55 AA"):
        read_partition(bytes(512))


def test_a_disk_has_its_parts_where_the_firmware_looks(tmp_path: Path) -> None:
    filesystem = tmp_path / "fs"
    filesystem.write_bytes(b"F" * 4096 + bytes(1024 * 1024) + b"L" * 4096)
    assemble(tmp_path / "disk", filesystem=filesystem, boot_code=b"B" * 512, core_image=b"C" * 600, signature=1)
    disk = (tmp_path / "disk").read_bytes()
    assert disk[512 : 512 + 600] == b"C" * 600
    assert disk[PARTITION_OFFSET_BYTES:] == filesystem.read_bytes()
    assert read_partition(disk[:512]) == Partition(2048, len(filesystem.read_bytes()) // 512)


def test_a_core_image_that_reaches_the_partition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fs").write_bytes(bytes(512))
    with pytest.raises(ToolError, match="core image"):
        assemble(
            tmp_path / "disk", filesystem=tmp_path / "fs", boot_code=b"", core_image=bytes(1024 * 1024), signature=1
        )


def test_a_sparse_copy_skips_only_zeroes() -> None:
    content = b"a" * 10 + bytes(300_000) + b"b" * 10
    target = io.BytesIO()
    copy_sparse(io.BytesIO(content), target)
    assert target.getvalue() == content


def test_an_initramfs_lists_its_tree_and_a_console(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").write_bytes(b"12345")
    (tmp_path / "bin/ls").symlink_to("sh")
    (tmp_path / "bin/sh").chmod(0o755)
    archive = cpio.archive(tmp_path)
    assert entries(archive) == {
        "bin": (0o040755, b""),
        "bin/sh": (0o100755, b"12345"),
        "bin/ls": (0o120777, b"sh"),
        "dev/console": (0o020600, b""),
    }
    assert archive == cpio.archive(tmp_path)


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """A reader of the newc format, from its definition: mode and data by name."""
    found: dict[str, tuple[int, bytes]] = {}
    position = 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[position + 110 : position + 110 + name_size - 1].decode()
        start = -(-(position + 110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[start : start + size])
        position = -(-(start + size) // 4) * 4


def test_modules_come_with_all_they_need() -> None:
    dependencies = read_dependencies("k/net/virtio_net.ko: k/net_failover.ko k/virtio.ko\nk/virtio.ko:\nk/x.ko:\n")
    assert closure(dependencies, ["virtio_net", "ext4"]) == ["k/net/virtio_net.ko", "k/net_failover.ko", "k/virtio.ko"]
