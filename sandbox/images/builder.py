"""Builds an image from its recipe, or takes it from the cache when nothing that decides its bytes has changed."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sandbox.images import cache, debian, disk, ext4, grub, tiny
from sandbox.images.cache import Image
from sandbox.images.errors import ImageError, PackageError
from sandbox.images.packages import Package, update_index
from sandbox.images.recipe import Recipe

__all__ = ["RECIPES", "Image", "build"]

RECIPES: Mapping[str, Recipe] = {"tiny": tiny, "debian": debian}
_PACKAGE = Path(__file__).parent


def build(name: str, output_directory: Path) -> Image:
    """Have the image ``name`` in output_directory as <sha256>.raw and <name>.json; returns it with that path.

    The first build takes seconds (tiny) or minutes (debian) and asks apt for packages; later ones compare versions and
    copy. An index that names versions which the mirror has no longer is fetched anew once. When apt cannot be asked (no
    network, no index), the newest cached image of the same recipe serves, and that is said.
    """
    if name not in RECIPES:
        raise ImageError("building", f"image {name}", "there is no such recipe", f"Known are: {', '.join(RECIPES)}")
    recipe = cache.recipe_key(_recipe_files(name))
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
    packages = RECIPES[name].packages()
    try:
        return _of_packages(name, recipe, packages)
    except PackageError as error:
        print(f"images: {error}\nimages: fetching apt's index anew", file=sys.stderr)
    update_index()
    return _of_packages(name, recipe, RECIPES[name].packages())


def _of_packages(name: str, recipe: str, packages: list[Package]) -> Image:
    versions = cache.package_key(packages)
    return cache.find(name, recipe, versions) or _make(name, recipe, versions, packages)


def _recipe_files(name: str) -> list[Path]:
    """What decides an image's bytes: its recipe's files and this package's own, not those of other recipes."""
    others = {_PACKAGE / other for other in RECIPES if other != name}
    files = [path for path in _PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [*(path for path in files if not others.intersection(path.parents)), *grub.material()]


def _make(name: str, recipe: str, versions: str, packages: list[Package]) -> Image:
    work = Path(tempfile.mkdtemp(prefix="build-", dir=cache.directory()))
    try:
        raw = _make_disk(RECIPES[name], packages, work)
        return cache.keep(name, recipe, versions, raw, work)
    finally:
        shutil.rmtree(work)


def _make_disk(recipe: Recipe, packages: list[Package], work: Path) -> Path:
    root = recipe.lay_out(packages, work)
    filesystem, raw = work / "root.ext4", work / "image.raw"
    ext4.make(
        root,
        filesystem,
        size_bytes=recipe.SIZE_BYTES - disk.PARTITION_OFFSET_BYTES,
        label=recipe.LABEL,
        uuid=recipe.UUID,
        epoch_s=recipe.EPOCH_S,
        owners_kept=recipe.OWNERS_KEPT,
    )
    disk.assemble(
        raw,
        filesystem=filesystem,
        boot_code=grub.boot_code(),
        core_image=grub.core_image(work),
        signature=recipe.DISK_SIGNATURE,
    )
    return raw
