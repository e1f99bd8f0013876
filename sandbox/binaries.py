"""The control plane's programs: those the machine has, else ours, built once.

In this order: the directory that ``KUBEBUILDER_ASSETS`` names, ``PATH``, and last the Go module in ``controlplane/``,
whose one binary is all of them by the name it is called under. It takes about 850 CPU-seconds to build and is kept for
every checkout under the digest of its sources.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import CommandFailed, MissingTool
from sandbox.paths import SOURCE, cache_directory

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
    assets = environment.get("KUBEBUILDER_ASSETS")
    if assets and _complete(Path(assets)):
        return ControlPlaneBinaries.in_directory(Path(assets))
    path = _path_without_ours(environment.get("PATH", os.defpath))
    on_path = [shutil.which(program, path=path) for program in PROGRAMS]
    if all(on_path):
        return ControlPlaneBinaries(*(Path(program) for program in on_path if program))
    if _complete(built_directory()):
        return ControlPlaneBinaries.in_directory(built_directory())
    raise MissingTool(
        "Finding etcd, kube-apiserver, kube-controller-manager and kubectl",
        cause="neither KUBEBUILDER_ASSETS nor PATH has them all, and ours are not built",
        next_step="Run `make setup`.",
    )


def _path_without_ours(path: str) -> str:
    """PATH less this checkout's own bin directory: the kubectl there is only a link to what was found."""
    ours = (SOURCE / ".venv" / "bin").resolve()
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if Path(entry or ".").resolve() != ours)


def built_directory() -> Path:
    """Where our build of the present sources is kept, whether or not it is there yet."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((MODULE / name).read_bytes())
    return cache_directory() / "controlplane" / digest.hexdigest()[:16]


def build() -> Path:
    """Build our binary unless it is there; return its directory. Two builders at once do no harm."""
    target = built_directory()
    if _complete(target):
        return target
    print("setup: building the control plane's programs (once on this machine, several minutes)", file=sys.stderr)
    scratch = target.with_name(f"{target.name}.{os.getpid()}")
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        _go_build(scratch / "metalplane-controlplane")
        for program in PROGRAMS:
            (scratch / program).symlink_to("metalplane-controlplane")
        if not _complete(target):
            shutil.rmtree(target, ignore_errors=True)
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _go_build(output: Path) -> None:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOCACHE": os.environ.get("GOCACHE") or str(cache_directory() / "go-build"),
    }
    argv = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", _linker_flags(), "-o", str(output), "."]
    result = subprocess.run(argv, cwd=MODULE, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise CommandFailed(argv, result.returncode, result.stderr, next_step="Is Go 1.26 installed?")


def _linker_flags() -> str:
    """Strip the binary and stamp Kubernetes' version into it: clients refuse or warn about an unstamped one."""
    required = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", (MODULE / "go.mod").read_text())
    if required is None:
        raise MissingTool("Reading go.mod", cause="it requires no k8s.io/kubernetes", next_step=f"Restore {MODULE}.")
    version, major, minor = required.groups()
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())])


def _complete(directory: Path) -> bool:
    return all(os.access(directory / program, os.X_OK) for program in PROGRAMS)


def find_or_build() -> ControlPlaneBinaries:
    """The programs that the machine has, else ours, built now if they are not yet."""
    try:
        return find()
    except MissingTool:
        return ControlPlaneBinaries.in_directory(build())


if __name__ == "__main__":
    print(find_or_build().kubectl)
