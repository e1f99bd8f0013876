"""The NoCloud seed as an ISO image: what cloud-init looks for is there, under names that it finds."""

import io
import subprocess
from pathlib import Path

import pycdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpu_handler import seed
from dpu_handler.execution.carrying import BLOCK_SIZE_BYTES

CONTENT = {
    "meta-data": b"instance-id: 1\n",
    "user-data": b"#cloud-config\n{}\n",
    "network-config": b"version: 2\n",
}
UID = "0b5a3c54-93f1-4d9e-8a61-0c2f6f1d7e10"

contents = st.dictionaries(st.sampled_from([*seed.FILES, "something-else"]), st.binary(max_size=5000))


def opened(image: bytes) -> pycdlib.PyCdlib:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    return iso


def files(image: bytes, names: str) -> dict[str, tuple[int, bytes]]:
    """Place and content of each file, by its name of one kind: rr_path or joliet_path."""
    iso = opened(image)
    found = {}
    for child in iso.list_children(**{names: "/"}):
        if child.is_dir():
            continue
        name = child.rock_ridge.name() if names == "rr_path" else child.file_identifier().decode("utf-16-be")
        out = io.BytesIO()
        iso.get_file_from_iso_fp(out, **{names: f"/{name.decode() if isinstance(name, bytes) else name}"})
        found[name.decode() if isinstance(name, bytes) else name] = (child.extent_location(), out.getvalue())
    iso.close()
    return found


def test_the_volume_is_labelled_as_cloud_init_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    seed.build(path, CONTENT)
    said = subprocess.run(["blkid", "-p", "-o", "export", str(path)], check=True, capture_output=True, text=True).stdout
    assert {"LABEL=cidata", "TYPE=iso9660"} <= set(said.splitlines())


@pytest.mark.parametrize("names", ["rr_path", "joliet_path"])
@given(content=contents)
def test_each_file_is_found_by_its_lower_case_name(names: str, content: dict[str, bytes]) -> None:
    expected = {name: data for name, data in content.items() if name in seed.FILES}
    assert {name: data for name, (_, data) in files(seed.image(content), names).items()} == expected


@given(contents)
def test_the_image_fills_whole_blocks(content: dict[str, bytes]) -> None:
    assert len(seed.image(content)) % 2048 == 0
    assert 2048 % BLOCK_SIZE_BYTES == 0


def test_the_same_content_lies_at_the_same_places() -> None:
    """A server that has the seed mounted survives that the agent builds it again."""
    once, again = seed.image(CONTENT), seed.image(CONTENT)
    assert len(once) == len(again)
    assert files(once, "rr_path") == files(again, "rr_path")


@given(contents, contents)
def test_the_name_tells_the_content(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    read = [{name: data for name, data in each.items() if name in seed.FILES} for each in (one, other)]
    paths = [seed.path_of(Path("/seeds"), UID, each) for each in (one, other)]
    same = {name: read[0].get(name, b"") for name in seed.FILES} == {
        name: read[1].get(name, b"") for name in seed.FILES
    }
    assert (paths[0] == paths[1]) == same


def test_a_byte_that_moves_from_one_file_to_the_next_is_another_content() -> None:
    one = seed.path_of(Path("/seeds"), UID, {"meta-data": b"ab", "network-config": b"c"})
    assert one != seed.path_of(Path("/seeds"), UID, {"meta-data": b"a", "network-config": b"bc"})


def test_a_seed_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "seed.iso"
    seed.build(path, CONTENT)
    before = path.stat()
    seed.build(path, CONTENT)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_build_that_was_cut_off_is_no_seed_and_is_built_again(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    path.with_suffix(".tmp").write_bytes(b"half")
    assert not path.exists()
    seed.build(path, CONTENT)
    assert len(files(path.read_bytes(), "rr_path")) == len(CONTENT)


def test_an_owners_seeds_are_removed_and_no_others(tmp_path: Path) -> None:
    kept, old = seed.path_of(tmp_path, UID, CONTENT), seed.path_of(tmp_path, UID, {})
    other = seed.path_of(tmp_path, "another-owner", CONTENT)
    for path in (kept, old, other):
        seed.build(path, CONTENT)
    seed.remove(tmp_path, UID, keep=kept)
    assert set(tmp_path.iterdir()) == {kept, other}
    seed.remove(tmp_path, UID)
    assert set(tmp_path.iterdir()) == {other}


def test_seeds_without_an_owner_go_whole_or_not(tmp_path: Path) -> None:
    kept, other = seed.path_of(tmp_path, UID, CONTENT), seed.path_of(tmp_path, "another-owner", CONTENT)
    for path in (kept, other):
        seed.build(path, CONTENT)
    other.with_suffix(".tmp").write_bytes(b"half")
    seed.keep_only(tmp_path, {UID})
    assert set(tmp_path.iterdir()) == {kept}
    seed.keep_only(tmp_path / "none", {UID})
