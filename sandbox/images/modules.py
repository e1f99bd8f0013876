"""Chooses kernel modules with everything they need, so that a small tree still has a working modprobe."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox.images.tools import run


def install_modules(kernel: Path, tree: Path, names: Iterable[str]) -> None:
    """Copy the named modules of an unpacked kernel package, and those they depend on, below tree/lib/modules."""
    (source,) = (kernel / "lib/modules").iterdir()
    release = source.name
    if not (source / "modules.dep").exists():
        run(["depmod", "-b", str(kernel), release], package="kmod")
    target = tree / "lib/modules" / release
    for relative in closure(read_dependencies((source / "modules.dep").read_text()), names):
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / relative, target / relative)
    for index in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(source / index, target / index)
    run(["depmod", "-b", str(tree), release], package="kmod")
    for leftover in (*target.glob("*.bin"), target / "modules.builtin.modinfo", target / "modules.order"):
        leftover.unlink(missing_ok=True)


def read_dependencies(text: str) -> dict[str, list[str]]:
    """modules.dep (modules.dep(5)) as path -> paths it needs, all relative to the kernel's module directory."""
    rows = (line.split(":", 1) for line in text.splitlines() if line)
    return {path: needs.split() for path, needs in rows}


def closure(dependencies: Mapping[str, list[str]], names: Iterable[str]) -> list[str]:
    """The paths of the named modules and of all they need, sorted; a name that is no module is built in or unknown.

    modules.dep lists needs transitively (depmod(8)), so one step is enough.
    """
    paths = {Path(path).name.split(".")[0].replace("-", "_"): path for path in dependencies}
    chosen = [paths[name] for name in names if name in paths]
    return sorted({*chosen, *(need for path in chosen for need in dependencies[path])})
