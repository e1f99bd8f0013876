"""The recipe of ``tiny``: the smallest cloud image that behaves like one.

Firmware -> GRUB -> Debian's cloud kernel -> an initramfs that finds the root filesystem by its label -> busybox init.
It reads a NoCloud seed (``root/usr/lib/nocloud``), lets root in over SSH by key, has a login on ttyS0, powers off when
the power button is pressed. The files beside this one are the guest's; nothing here runs on the host.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.images import cache, cpio
from sandbox.images.modules import install_modules
from sandbox.images.packages import Package, depended_on, fetch, locate, unpack
from sandbox.images.tools import run

LABEL = "metalplane-root"
# Fixed, so that one recipe with the same packages is one image, byte for byte.
UUID = "6d657461-6c70-4c61-8e65-74696e790001"
DISK_SIGNATURE = 0x796E6974
EPOCH_S = 1_767_225_600
# With the partition at 1 MiB: a multiple of 4 MiB, the cluster of an SPDK lvstore.
SIZE_BYTES = 64 * 1024 * 1024
OWNERS_KEPT = False

_HERE = Path(__file__).parent
_LIBRARIES = ("libc6", "libcrypt1", "libtomcrypt1", "libtommath1", "libgmp10", "zlib1g")
_INITRAMFS_MODULES = ("virtio_pci", "virtio_blk")
_ROOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "isofs", "evdev", "button")
_INITRAMFS_APPLETS = ("sh", "mount", "modprobe", "findfs", "ls", "tr", "cat", "sleep", "switch_root")
_DIRECTORIES = ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "etc/dropbear", "var/lib/nocloud", "var/log")
_PRIVATE = ("root", "etc/dropbear", "etc/shadow")
_EXECUTABLE = ("etc/init.d/*", "etc/acpi/PWRF/*", "usr/lib/nocloud/apply", "usr/lib/nocloud/final")


@dataclass(frozen=True, slots=True)
class Material:
    """Where the unpacked packages lie: the kernel's apart, for most of it is left out."""

    kernel: Path
    programs: Path


def packages() -> list[Package]:
    """The packages this image is made of, in the versions of apt's index; the kernel's comes first."""
    kernel = depended_on("linux-image-cloud-amd64", "linux-image-")
    return locate([kernel, "busybox-static", "dropbear-bin", *_LIBRARIES])


def lay_out(packages: Sequence[Package], work: Path) -> Path:
    """Make the image's root filesystem, /boot included, of unpacked packages."""
    kernel, *programs = fetch(packages, cache.directory() / "packages")
    material, root = Material(work / "kernel", work / "programs"), work / "root"
    unpack(kernel, material.kernel)
    for deb in programs:
        unpack(deb, material.programs)
    root.mkdir()
    for directory in _DIRECTORIES:
        (root / directory).mkdir(parents=True)
    _install_busybox(material.programs, root, applets=None)
    _install_dropbear(material.programs, root)
    install_modules(material.kernel, root, _ROOT_MODULES)
    shutil.copytree(_HERE / "root", root, dirs_exist_ok=True)
    _install_boot(material, root, work / "initramfs")
    _set_modes(root)
    return root


def _install_busybox(programs: Path, tree: Path, applets: tuple[str, ...] | None) -> None:
    """Copy busybox and link its applets at their usual places; with applets given, those alone, into bin."""
    binary = programs / "bin/busybox"
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(binary, tree / "bin/busybox")
    if applets is None:
        places = run([str(binary), "--list-full"], package="busybox-static").split()
    else:
        places = [f"bin/{applet}" for applet in applets]
    for place in places:
        link = tree / place
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to("/bin/busybox")


def _install_dropbear(programs: Path, root: Path) -> None:
    """Copy dropbear, the loader and every shared library that it may load."""
    (root / "usr/sbin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(programs / "usr/sbin/dropbear", root / "usr/sbin/dropbear")
    (root / "lib64").mkdir()
    (root / "lib/x86_64-linux-gnu").mkdir(parents=True)
    shutil.copy(programs / "lib64/ld-linux-x86-64.so.2", root / "lib64")
    for name in ("libc.so.6", "libcrypt.so.1", "libtomcrypt.so.1", "libtommath.so.1", "libgmp.so.10", "libz.so.1"):
        places = [programs / directory / name for directory in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")]
        source = next(place for place in places if place.exists())
        shutil.copy(source.resolve(), root / "lib/x86_64-linux-gnu" / name)


def _install_boot(material: Material, root: Path, initramfs: Path) -> None:
    (root / "boot/grub").mkdir(parents=True)
    (kernel,) = (material.kernel / "boot").glob("vmlinuz-*")
    shutil.copy(kernel, root / "boot/vmlinuz")
    shutil.copy(_HERE / "grub.cfg", root / "boot/grub/grub.cfg")
    for directory in ("dev", "proc", "sys", "new"):
        (initramfs / directory).mkdir(parents=True)
    _install_busybox(material.programs, initramfs, _INITRAMFS_APPLETS)
    install_modules(material.kernel, initramfs, _INITRAMFS_MODULES)
    shutil.copy(_HERE / "initramfs/init", initramfs / "init")
    (initramfs / "init").chmod(0o755)
    (root / "boot/initrd.img").write_bytes(cpio.archive(initramfs))


def _set_modes(root: Path) -> None:
    """The checkout's modes say nothing: a umask or an archive may have changed them."""
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        elif path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    for pattern in _EXECUTABLE:
        for path in root.glob(pattern):
            path.chmod(0o755)
    for name in _PRIVATE:
        path = root / name
        path.chmod(0o700 if path.is_dir() else 0o600)
    (root / "tmp").chmod(0o1777)
