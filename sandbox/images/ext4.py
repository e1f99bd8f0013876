"""Makes an ext4 filesystem from a directory, without mounting anything.

`mke2fs -d` copies the tree. It copies owners and times with it, which differ from build to build. Where a recipe says
that everything belongs to root, debugfs then sets both, and the same directory gives the same bytes.
"""

from pathlib import Path

from sandbox.images.tools import run

# The features are listed so that the result does not follow the distribution's mke2fs.conf, and so that GRUB 2.06 can
# read it (it knows neither metadata_csum_seed nor orphan_file).
_FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
_JOURNAL_MIB = 4
_TIME_FIELDS = ("atime", "ctime", "mtime", "crtime")


def make(tree: Path, image: Path, *, size_bytes: int, label: str, uuid: str, epoch_s: int, owners_kept: bool) -> None:
    """Write a filesystem of size_bytes holding tree to image. label has at most 16 bytes."""
    with image.open("wb") as file:
        file.truncate(size_bytes)
    identity = ["-L", label, "-U", uuid, "-E", f"hash_seed={uuid},root_owner=0:0,lazy_itable_init=0"]
    layout = ["-O", _FEATURES, "-b", "4096", "-I", "256", "-J", f"size={_JOURNAL_MIB}", "-m", "0", "-i", "16384"]
    clock = {"E2FSPROGS_FAKE_TIME": str(epoch_s)}
    run(
        ["mke2fs", "-q", "-F", "-t", "ext4", *identity, *layout, "-d", str(tree), str(image)],
        package="e2fsprogs",
        env=clock,
    )
    if owners_kept:
        return
    run(
        ["debugfs", "-w", "-f", "-", str(image)],
        package="e2fsprogs",
        stdin=_settling_commands(tree, epoch_s),
        env=clock,
    )


def _settling_commands(tree: Path, epoch_s: int) -> str:
    names = ["/", "/lost+found", *sorted(f"/{path.relative_to(tree)}" for path in tree.rglob("*"))]
    lines = []
    for name in names:
        lines += [f"set_inode_field {name} {owner} 0" for owner in ("uid", "gid")]
        lines += [f"set_inode_field {name} {field} @{epoch_s}" for field in _TIME_FIELDS]
        lines += [f"set_inode_field {name} {field}_extra 0" for field in _TIME_FIELDS]
    return "\n".join(lines) + "\n"
