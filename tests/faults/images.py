"""Golden images that no pool has yet: each with content of its own, so that its first machine has it imported."""

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.cloud import DEFAULT_IMAGE, Cloud

_SIGNATURE = slice(440, 444)
"""The disk signature in the boot record: it may be anything, and machines boot all the same."""


@contextmanager
def fresh_image(cloud: Cloud) -> Iterator[str]:
    """Name of a MachineImage that was never used. Its file and its object go; its snapshot in the pool may stay."""
    directory = cloud.layout.storage / "images"
    image = cloud.kubectl.get(f"machineimage/{DEFAULT_IMAGE}")["spec"]
    name = f"fresh-{secrets.token_hex(4)}"
    scratch = directory / f"{name}.tmp"
    shutil.copyfile(directory / f"{image['sha256']}.raw", scratch)
    with scratch.open("r+b") as raw:
        raw.seek(_SIGNATURE.start)
        raw.write(secrets.token_bytes(_SIGNATURE.stop - _SIGNATURE.start))
        raw.seek(0)
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    path = scratch.rename(directory / f"{digest}.raw")
    head = {"apiVersion": "metalplane.io/v1alpha1", "kind": "MachineImage", "metadata": {"name": name}}
    cloud.kubectl.apply([head | {"spec": {**image, "sha256": digest}}])
    try:
        yield name
    finally:
        cloud.kubectl.run("delete", f"machineimage/{name}")
        path.unlink()
