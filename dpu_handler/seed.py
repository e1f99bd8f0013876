"""The NoCloud seed of a machine as a small ISO 9660 image (cloud-init, "NoCloud": a file system labelled ``cidata``).

Built from the Secret that the provider rendered. The file's name tells the content, so that a changed Secret is another
file and a repeated step finds the one that is there. Built twice, it differs in nothing but dates.
"""

import hashlib
import io
from collections.abc import Mapping, Set
from pathlib import Path

import pycdlib

LABEL = "cidata"
FILES = ("meta-data", "network-config", "user-data", "vendor-data")
"""Names that cloud-init looks for. Optional ones may be missing from the Secret."""

_DIGEST_LENGTH = 12
_SECTOR_BYTES = 2048


def path_of(directory: Path, owner_uid: str, content: Mapping[str, bytes]) -> Path:
    """Where the seed with that content lies."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(f"{name}\0{len(content.get(name, b''))}\0".encode() + content.get(name, b""))
    return directory / f"{owner_uid}-{digest.hexdigest()[:_DIGEST_LENGTH]}.iso"


def build(path: Path, content: Mapping[str, bytes]) -> None:
    """Write the seed, whole or not at all; one that is there is left as it is."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(image(content))
    temporary.rename(path)


def remove(directory: Path, owner_uid: str, *, keep: Path | None = None) -> None:
    """Remove the seeds of an owner, save ``keep``."""
    for path in directory.glob(f"{owner_uid}-*"):
        if path != keep:
            path.unlink(missing_ok=True)


def keep_only(directory: Path, owner_uids: Set[str]) -> None:
    """Remove the seeds of all other owners, be they whole or not."""
    for path in directory.glob("*-*"):
        if path.stem.rpartition("-")[0] not in owner_uids:
            path.unlink(missing_ok=True)


def image(content: Mapping[str, bytes]) -> bytes:
    """The ISO image, with the long names that Rock Ridge and Joliet carry."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for number, name in enumerate(FILES):
        if name in content:
            data = content[name]
            iso.add_fp(io.BytesIO(data), len(data), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}")
    out = io.BytesIO()
    iso.write_fp(out)
    iso.close()
    data = out.getvalue()
    return data + bytes(-len(data) % _SECTOR_BYTES)
