"""The cache of built images: one directory for each recipe with its package versions.

``${XDG_CACHE_HOME:-~/.cache}/metalplane/images/<recipe>-<packages>/{image.raw,image.json}``; packages as downloaded lie
beside it in ``packages/``. An entry appears by rename, whole or not at all; a half-built one is thrown away.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.images.disk import copy_sparse
from sandbox.images.packages import Package

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its name, the SHA-256 of its bytes, its size in bytes, where the raw file is."""

    name: str
    sha256: str
    size_bytes: int
    path: Path

    def record(self) -> dict[str, str | int]:
        """What `MachineImage.spec` needs to know of it."""
        return {"name": self.name, "sha256": self.sha256, "sizeBytes": self.size_bytes}


def directory() -> Path:
    """The cache's directory, made when absent."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    path = Path(home) / "metalplane" / "images"
    (path / "packages").mkdir(parents=True, exist_ok=True)
    return path


def recipe_key(recipe_files: Iterable[Path]) -> str:
    """A digest of the recipe: of the bytes and names of the files that decide what is built."""
    digest = hashlib.sha256()
    for path in sorted(recipe_files):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGITS]


def package_key(packages: Iterable[Package]) -> str:
    """A digest of the packages' names, versions and contents."""
    rows = sorted(f"{package.file_name} {package.digest}\n" for package in packages)
    return hashlib.sha256("".join(rows).encode()).hexdigest()[:_DIGITS]


def find(name: str, recipe: str, packages: str | None) -> Image | None:
    """The cached image of this recipe and these packages; with packages None, the newest of the recipe."""
    entries = directory().glob(f"{name}-{recipe}-{packages or '*'}/image.json")
    newest = max(entries, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return None
    record = json.loads(newest.read_text())
    return Image(record["name"], record["sha256"], record["sizeBytes"], newest.with_name("image.raw"))


def keep(name: str, recipe: str, packages: str, raw: Path, work: Path) -> Image:
    """Move a finished raw file into the cache; work is a scratch directory on the same filesystem."""
    with raw.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    entry = work / "entry"
    entry.mkdir()
    raw.rename(entry / "image.raw")
    image = Image(name, sha256, (entry / "image.raw").stat().st_size, entry / "image.raw")
    (entry / "image.json").write_text(json.dumps(image.record()) + "\n")
    place = directory() / f"{name}-{recipe}-{packages}"
    try:
        entry.rename(place)
    except OSError:  # another build of the same image was faster
        shutil.rmtree(entry)
    return Image(name, sha256, image.size_bytes, place / "image.raw")


def publish(image: Image, output_directory: Path) -> Image:
    """Have the image as output_directory/<sha256>.raw with <name>.json beside it; both appear whole."""
    output_directory.mkdir(parents=True, exist_ok=True)
    target = output_directory / f"{image.sha256}.raw"
    if not target.exists():
        partial = target.with_suffix(f".{os.getpid()}.part")
        with image.path.open("rb") as source, partial.open("wb") as copy:
            copy_sparse(source, copy)
            copy.truncate(image.size_bytes)
        partial.rename(target)
    record = output_directory / f"{image.name}.json"
    partial = record.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(image.record()) + "\n")
    partial.rename(record)
    return Image(image.name, image.sha256, image.size_bytes, target)
