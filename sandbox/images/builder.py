"""Builds an image from its recipe, or takes it from the cache when nothing that decides its bytes has changed."""

import shutil
import sys
import tempfile
from pathlib import Path

from sandbox.images import cache, disk, ext4, grub, tiny
from sandbox.images.cache import Image
from sandbox.images.errors import ImageError, PackageError
from sandbox.images.packages import Package, fetch, unpack, update_index

__all__ = ["RECIPES", "Image", "build"]

RECIPES = ("tiny",)
_PACKAGE = Path(__file__).parent


def build(name: str, output_directory: Path) -> Image:
    """Have the image ``name`` in output_directory as <sha256>.raw and <name>.json; returns it with that path.

    The first build takes seconds and asks apt for about 32 MB; later ones compare versions and copy. An index that
    names versions which the mirror has no longer is fetched anew once. When apt cannot be asked (no network, no index),
    the newest cached image of the same recipe serves, and that is said.
    """
    if name not in RECIPES:
        raise ImageError("building", f"image {name}", "there is no such recipe", f"Known are: {', '.join(RECIPES)}")
    recipe = cache.recipe_key(_recipe_files())
    try:
        image = _of_index(name, recipe)
    except PackageError as error:
        cached = cache.find(name, recipe, None)
        if cached is None:
            raise
        print(f"images: {error}\nimages: using the cached {cached.path}", file=sys.stderr)
        image = cached
    return cache.publish(image, output_directory)


def _of_index(name: str, recipe: str) -> Image:
    packages = tiny.packages()
    try:
        return _of_packages(name, recipe, packages)
    except PackageError as error:
        print(f"images: {error}\nimages: fetching apt's index anew", file=sys.stderr)
    update_index()
    return _of_packages(name, recipe, tiny.packages())


def _of_packages(name: str, recipe: str, packages: list[Package]) -> Image:
    versions = cache.package_key(packages)
    return cache.find(name, recipe, versions) or _make(name, recipe, versions, packages)


def _recipe_files() -> list[Path]:
    files = [path for path in _PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [*files, *grub.material()]


def _make(name: str, recipe: str, versions: str, packages: list[Package]) -> Image:
    work = Path(tempfile.mkdtemp(prefix="build-", dir=cache.directory()))
    try:
        raw = _make_disk(packages, work)
        return cache.keep(name, recipe, versions, raw, work)
    finally:
        shutil.rmtree(work)


def _make_disk(packages: list[Package], work: Path) -> Path:
    kernel, *programs = fetch(packages, cache.directory() / "packages")
    material = tiny.Material(work / "kernel", work / "programs")
    unpack(kernel, material.kernel)
    for deb in programs:
        unpack(deb, material.programs)
    root, filesystem, raw = work / "root", work / "root.ext4", work / "image.raw"
    root.mkdir()
    tiny.lay_out(material, root, work)
    size_bytes = tiny.SIZE_BYTES - disk.PARTITION_OFFSET_BYTES
    ext4.make(root, filesystem, size_bytes=size_bytes, label=tiny.LABEL, uuid=tiny.UUID, epoch_s=tiny.EPOCH_S)
    disk.assemble(
        raw,
        filesystem=filesystem,
        boot_code=grub.boot_code(),
        core_image=grub.core_image(work),
        signature=tiny.DISK_SIGNATURE,
    )
    return raw
