"""Names on the storage target, each derived from what it stands for, so that a repeated step finds what is there.

An lvol's name has 63 characters at most (SPDK ``SPDK_LVOL_NAME_MAX``), a CSI name up to 128 bytes: hence the digests.
"""

import hashlib
import re
import uuid

_IMAGE_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://metalplane.io/images")


_VOLUME_PREFIX = "vol-"
_IMAGE_HANDLE = re.compile(r"image-([0-9a-f]{64})")


def volume(csi_name: str) -> str:
    """lvol of the volume that CreateVolume names ``csi_name``."""
    return _VOLUME_PREFIX + hashlib.sha256(csi_name.encode()).hexdigest()[:40]


def is_volume(lvol_name: str) -> bool:
    """Whether the lvol is a volume, and not an image or what one is gathered in."""
    return lvol_name.startswith(_VOLUME_PREFIX)


def is_volume_id(text: str) -> bool:
    """Whether it can be the id of a volume: the UUID of an lvol, as SPDK writes it.

    Nothing else may be looked up: the target knows bdevs by their aliases too, and records are files by this name.
    """
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def image_of_handle(snapshot_id: str) -> str | None:
    """The sha256 in a CSI snapshot id of ours, ``image-<sha256>``; None for any other text."""
    match = _IMAGE_HANDLE.fullmatch(snapshot_id)
    return None if match is None else match[1]


def image_handle(sha256: str) -> str:
    """CSI snapshot id of an image."""
    return f"image-{sha256}"


def image_snapshot(sha256: str) -> str:
    """Snapshot that is the image with that content."""
    return "img-" + sha256[:40]


def image_staging(sha256: str) -> str:
    """lvol in which an image is gathered before it becomes the snapshot."""
    return "imp-" + sha256[:40]


def image_bdev(sha256: str) -> str:
    """AIO bdev over an image's raw file while it is imported."""
    return "raw-" + sha256[:40]


def image_bdev_uuid(sha256: str) -> str:
    """UUID of that bdev: a clone of an external snapshot finds its parent again by it."""
    return str(uuid.uuid5(_IMAGE_NAMESPACE, sha256))


def subsystem(lvol_uuid: str) -> str:
    """NVMe subsystem of a volume (NVMe base specification, "NVMe Qualified Names")."""
    return f"nqn.2026-01.io.metalplane:vol-{lvol_uuid}"


def host(server_uid: str, generation: int) -> str:
    """Host NQN under which one attach may connect. A new attach is a new host: a fenced session never matches again.

    Of the date form: behind ``nqn.2014-08.org.nvmexpress:uuid:`` SPDK takes a UUID and nothing more
    (``nvmf_subsystem_add_host`` answers "Internal error").
    """
    return f"nqn.2026-01.io.metalplane:server-{server_uid}.g{generation}"


def serial_number(lvol_uuid: str) -> str:
    """Serial number of the subsystem: 20 characters at most (NVMe base specification, Identify Controller)."""
    return lvol_uuid.replace("-", "")[:20]
