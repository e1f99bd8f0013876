"""The control plane's programs: those the machine has, else ours, built once.

In this order: the directory that ``KUBEBUILDER_ASSETS`` names, ``PATH``, and last the Go module in ``controlplane/``,
whose one binary is all of them by the name it is called under. It takes about 850 CPU-seconds to build.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox.errors import MissingTool
from sandbox.gomodule import GoModule
from sandbox.paths import SOURCE

MODULE = SOURCE / "sandbox" / "controlplane"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


@dataclass(frozen=True, slots=True)
class ControlPlaneBinaries:
    """Paths of the four programs."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path

    @classmethod
    def in_directory(cls, directory: Path) -> "ControlPlaneBinaries":
        return cls(*(directory / program for program in PROGRAMS))


def find(environment: Mapping[str, str] | None = None) -> ControlPlaneBinaries:
    """The programs to use. Builds nothing: raises ``MissingTool`` where there are none yet."""
    environment = os.environ if environment is None else environment
    module = ours()
    assets = environment.get("KUBEBUILDER_ASSETS")
    if assets and module.is_complete(Path(assets)):
        return ControlPlaneBinaries.in_directory(Path(assets))
    path = _path_without_ours(environment.get("PATH", os.defpath))
    on_path = [shutil.which(program, path=path) for program in PROGRAMS]
    if all(on_path):
        return ControlPlaneBinaries(*(Path(program) for program in on_path if program))
    if module.is_complete(module.built_directory()):
        return ControlPlaneBinaries.in_directory(module.built_directory())
    raise MissingTool(
        "Finding etcd, kube-apiserver, kube-controller-manager and kubectl",
        cause="neither KUBEBUILDER_ASSETS nor PATH has them all, and ours are not built",
        next_step="Run `make setup`.",
    )


def find_or_build() -> ControlPlaneBinaries:
    """The programs that the machine has, else ours, built now if they are not yet."""
    try:
        return find()
    except MissingTool:
        return ControlPlaneBinaries.in_directory(ours().build())


@cache
def ours() -> GoModule:
    """The module that all four are built from.

    Kubernetes' version is stamped into it: clients refuse or warn about an unstamped one.
    """
    required = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", (MODULE / "go.mod").read_text())
    if required is None:
        raise MissingTool("Reading go.mod", cause="it requires no k8s.io/kubernetes", next_step=f"Restore {MODULE}.")
    version, major, minor = required.groups()
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())])
    return GoModule("controlplane", "the control plane's programs", MODULE, PROGRAMS, linker_flags=flags)


def _path_without_ours(path: str) -> str:
    """PATH less this checkout's own bin directory: the kubectl there is only a link to what was found."""
    ours_bin = (SOURCE / ".venv" / "bin").resolve()
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if Path(entry or ".").resolve() != ours_bin)


if __name__ == "__main__":
    print(find_or_build().kubectl)
