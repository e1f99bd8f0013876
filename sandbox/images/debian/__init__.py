"""The recipe of ``debian``: Debian 12 as clouds ship it, with systemd, cloud-init and sshd.

Firmware -> GRUB -> Debian's cloud kernel and initramfs -> systemd. cloud-init reads the NoCloud seed at the first boot:
host name, SSH keys (for ``debian`` and for root), network, user data; the root partition grows with its disk. The power
button shuts it down (systemd-logind). The files beside this one are the guest's.

mmdebstrap installs the packages into a directory, in their own maintainers' way; nothing is mounted or booted.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox.images.packages import Package, locate, sources
from sandbox.images.tools import run

LABEL = "metalplane-deb12"
UUID = "6d657461-6c70-4c61-8e65-646562313202"
DISK_SIGNATURE = 0x64656231
EPOCH_S = 1_767_225_600
SIZE_BYTES = 2 * 1024 * 1024 * 1024
OWNERS_KEPT = True
"""Debian's daemons have users and groups of their own; so two builds are never the same bytes."""

SUITE = "bookworm"

_HERE = Path(__file__).parent
_PACKAGES = (
    "linux-image-cloud-amd64",
    *("systemd-sysv", "systemd-resolved", "udev", "dbus", "libpam-systemd"),
    *("cloud-init", "cloud-guest-utils", "fdisk", "openssh-server", "sudo"),
    *("iproute2", "iputils-ping", "netbase", "procps", "less", "fio"),
)
_ENABLED = ("systemd-networkd", "systemd-resolved")
_QUIET = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap", "dpkg-db-backup.timer")
"""What a machine that may live for minutes need not do in its first ones."""


def packages() -> list[Package]:
    """The packages that are asked for; what they depend on follows."""
    return locate(_PACKAGES)


def lay_out(packages: Sequence[Package], work: Path) -> Path:
    """Make the image's root filesystem, /boot included."""
    root, listed = work / "root", work / "sources.list"
    listed.write_text(sources(SUITE))
    include = ",".join(package.name for package in packages)
    units = [
        f'chroot "$1" systemctl --quiet enable {" ".join(_ENABLED)}',
        f'chroot "$1" systemctl --quiet disable {" ".join(_QUIET)}',
    ]
    hooks = [f"--customize-hook={command}" for command in units]
    options = ["--quiet", "--mode=root", "--variant=minbase", f"--include={include}", *hooks]
    run(["mmdebstrap", *options, SUITE, str(root), str(listed)], package="mmdebstrap")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # every machine makes its own
    shutil.copytree(_HERE / "root", root, dirs_exist_ok=True)
    return root
