"""GRUB for BIOS: the boot sector's code, and a core image that finds its configuration on the disk it came from.

Source: GRUB manual, "BIOS installation": boot.img loads the core image from the sector behind the MBR (its default,
sector 1), and the core image holds the modules named here.
"""

from pathlib import Path

from sandbox.images.errors import ToolError
from sandbox.images.tools import run

_DIRECTORY = Path("/usr/lib/grub/i386-pc")
_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "serial", "terminal", "configfile", "echo")
# No disk is named: the first partition of whichever disk the firmware booted.
_PREFIX = "(,msdos1)/boot/grub"


def boot_code() -> bytes:
    """boot.img, 512 bytes; its first 440 are the code that goes into the MBR."""
    path = _DIRECTORY / "boot.img"
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        step = "Install it: apt-get install grub-pc-bin"
        raise ToolError("reading", str(path), "GRUB for BIOS is not installed", step) from error


def core_image(work: Path) -> bytes:
    """The core image, to be written from sector 1 on; it must fit before the first partition."""
    output = work / "core.img"
    where = ["-O", "i386-pc", "-d", str(_DIRECTORY), "-p", _PREFIX, "-o", str(output)]
    run(["grub-mkimage", *where, *_MODULES], package="grub-common grub-pc-bin")
    return output.read_bytes()


def material() -> list[Path]:
    """The files of the distribution that decide the bytes of boot code and core image."""
    return sorted(
        path for name in ("boot", "diskboot", "kernel", "lzma_decompress") for path in _DIRECTORY.glob(f"{name}.img")
    )
