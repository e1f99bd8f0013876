"""The master boot record: boot code, partition table, and the gap behind it where GRUB's core image lies.

Source: the classical MBR layout (IBM PC): boot code in bytes 0-439, disk signature at 440, four entries of 16 bytes
from 446, signature 55 AA at 510. Cylinder/head/sector fields are filled with the values that say "use the LBA".
"""

import struct
from dataclasses import dataclass

SECTOR_BYTES = 512
BOOT_CODE_BYTES = 440
_DISK_SIGNATURE_OFFSET = 440
_TABLE_OFFSET = 446
_CHS_BEYOND = bytes((0xFE, 0xFF, 0xFF))
_LINUX = 0x83
_ACTIVE = 0x80


@dataclass(frozen=True, slots=True)
class Partition:
    """The one partition of a disk, in sectors of 512 bytes."""

    start_sector: int
    sector_count: int


def boot_record(boot_code: bytes, signature: int, partition: Partition) -> bytes:
    """The 512 bytes of sector 0. boot_code may be longer than its 440 bytes (GRUB's boot.img is a whole sector)."""
    sector = bytearray(SECTOR_BYTES)
    sector[:BOOT_CODE_BYTES] = boot_code[:BOOT_CODE_BYTES].ljust(BOOT_CODE_BYTES, b"\0")
    struct.pack_into("<I", sector, _DISK_SIGNATURE_OFFSET, signature)
    entry = (_ACTIVE, _CHS_BEYOND, _LINUX, _CHS_BEYOND, partition.start_sector, partition.sector_count)
    struct.pack_into("<B3sB3sII", sector, _TABLE_OFFSET, *entry)
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def read_partition(sector: bytes) -> Partition:
    """The first partition of a boot record; ValueError when the sector is none."""
    if sector[510:512] != b"\x55\xaa":
        raise ValueError("no boot record: the sector does not end in 55 AA")
    start, count = struct.unpack_from("<II", sector, _TABLE_OFFSET + 8)
    return Partition(start, count)
