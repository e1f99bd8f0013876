"""Debian packages as material: found in apt's index, fetched with apt, verified, unpacked; never installed."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.images.errors import PackageError, ToolError
from sandbox.images.tools import run

_AS_OURSELVES = ("-o", "APT::Sandbox::User=root")
_URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+)(?: (?P<digest>\S+))?$")


@dataclass(frozen=True, slots=True)
class Package:
    """One package as apt's index knows it: its file's name (which holds the version) and digest ("SHA256:…")."""

    name: str
    file_name: str
    digest: str


def depended_on(meta_package: str, prefix: str) -> str:
    """The package that meta_package stands for: the first of its dependencies whose name begins with prefix."""
    shown = _apt(["apt-cache", "show", "--no-all-versions", meta_package], meta_package)
    match = re.search(rf"^Depends:.*?\b({re.escape(prefix)}[a-z0-9.+-]+)", shown, re.MULTILINE)
    if match is None:
        raise PackageError("reading", meta_package, f"it depends on no {prefix}…", "Run apt-get update")
    return match.group(1)


def locate(names: Sequence[str]) -> list[Package]:
    """What apt would download for names, in the index's current versions; nothing is downloaded."""
    listed = _apt(["apt-get", *_AS_OURSELVES, "download", "--print-uris", *names], " ".join(names))
    matches = [match for line in listed.splitlines() if (match := _URI_LINE.match(line))]
    found = {match["file"].split("_")[0]: match for match in matches}
    missing = sorted(set(names) - set(found))
    if missing:
        raise PackageError("locating", ", ".join(missing), "apt's index does not have it", "Run apt-get update")
    return [Package(name, found[name]["file"], found[name]["digest"] or "") for name in names]


def sources(suite: str) -> str:
    """Where this machine's apt gets Debian's ``suite``, its updates and its security fixes from, as sources.list(5)."""
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    filters = ["Created-By: Packages", "Component: main"]
    listed = _apt(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", *filters], suite)
    lines = {line for line in listed.splitlines() if line.split()[1:2] and line.split()[1] in wanted}
    if not any(line.split()[1] == suite for line in lines):
        raise PackageError("finding", f"a source of {suite}", "apt has none", "Add one, then run apt-get update")
    return "".join(f"deb {line}\n" for line in sorted(lines))


def fetch(packages: Iterable[Package], directory: Path) -> list[Path]:
    """Have every package in directory, downloading what is not there yet; returns the .deb files in order."""
    wanted = list(packages)
    absent = [package for package in wanted if not _is_whole(directory / package.file_name, package.digest)]
    if absent:
        names = " ".join(package.name for package in absent)
        _apt(["apt-get", *_AS_OURSELVES, "-q", "download", *names.split()], names, cwd=directory)
    for package in absent:
        if not _is_whole(directory / package.file_name, package.digest):
            cause = "the file is absent or its digest differs from the index's"
            raise PackageError("downloading", package.file_name, cause, "Run apt-get update, then build again")
    return [directory / package.file_name for package in wanted]


def update_index() -> None:
    """Fetch apt's index anew."""
    _apt(["apt-get", *_AS_OURSELVES, "-qq", "update"], "a new index")


def unpack(deb: Path, target: Path) -> None:
    """Unpack a package's files below target."""
    run(["dpkg-deb", "-x", str(deb), str(target)], package="dpkg")


def _is_whole(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    algorithm, _, expected = digest.partition(":")
    if algorithm not in {"SHA256", "SHA512"}:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm.lower()).hexdigest() == expected


def _apt(command: list[str], subject: str, cwd: Path | None = None) -> str:
    try:
        return run(command, package="apt", cwd=cwd)
    except ToolError as error:
        raise PackageError("asking apt for", subject, error.cause, "Run apt-get update; check the sources") from error
