"""Building with an apt whose index is older than its mirror, or that reaches no mirror at all."""

from pathlib import Path

import pytest

from sandbox.images import builder, cache, tiny
from sandbox.images.errors import PackageError
from sandbox.images.packages import Package
from sandbox.images.recipe import Recipe

GONE, PRESENT = ([Package("busybox-static", f"busybox-static_{version}_amd64.deb", "")] for version in (1, 2))


class Apt:
    """Its index names a package that the mirror has no longer, until the index is fetched anew."""

    def __init__(self) -> None:
        self.mirror: list[list[Package]] = [PRESENT]
        self.updates = 0

    def index(self) -> list[Package]:
        return PRESENT if self.updates else GONE

    def update(self) -> None:
        self.updates += 1

    def make_disk(self, recipe: Recipe, packages: list[Package], work: Path) -> Path:
        if packages not in self.mirror:
            raise PackageError("asking apt for", packages[0].name, "404 Not Found", "Run apt-get update")
        raw = work / "image.raw"
        raw.write_text(packages[0].file_name)
        return raw


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    apt = Apt()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "_recipe_files", lambda _: [])
    monkeypatch.setattr(tiny, "packages", apt.index)
    monkeypatch.setattr(builder, "update_index", apt.update)
    monkeypatch.setattr(builder, "_make_disk", apt.make_disk)
    return apt


def test_a_version_that_the_mirror_has_no_longer_is_looked_up_anew_once(apt: Apt, tmp_path: Path) -> None:
    image = builder.build("tiny", tmp_path / "images")
    assert image.path.read_text() == PRESENT[0].file_name
    assert apt.updates == 1


def test_without_a_mirror_the_newest_cached_image_serves(apt: Apt, tmp_path: Path) -> None:
    before = builder.build("tiny", tmp_path / "images")
    (cached,) = (path.parent for path in cache.directory().glob("*/image.json"))
    cached.rename(cached.with_name(f"{cached.name[:-1]}_"))  # of packages that the index names no longer
    apt.mirror = []
    after = builder.build("tiny", tmp_path / "images")
    assert after == before


def test_without_a_mirror_and_a_cached_image_the_package_is_named(apt: Apt, tmp_path: Path) -> None:
    apt.mirror = []
    with pytest.raises(PackageError, match="busybox-static failed: 404 Not Found"):
        builder.build("tiny", tmp_path / "images")
    assert apt.updates == 1
