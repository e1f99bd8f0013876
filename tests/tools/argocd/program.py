"""Argo CD, built from its own Go module: ``python -m tests.tools.argocd.program`` builds it now and prints where.

Its CRDs are files of that module, so they are read from where Go keeps its source.
"""

import json
import subprocess
from pathlib import Path

from sandbox.gomodule import GoModule

ARGOCD = GoModule(
    name="argocd",
    title="Argo CD, for tests",
    directory=Path(__file__).parent,
    programs=("argocd", "argocd-application-controller", "argocd-repo-server"),
    package="github.com/argoproj/argo-cd/v3/cmd",
)


def definitions() -> Path:
    """The directory of Argo CD's CRDs, a file ``<singular>-crd.yaml`` for each."""
    argv = ["go", "mod", "download", "-json", "github.com/argoproj/argo-cd/v3"]
    result = subprocess.run(argv, cwd=ARGOCD.directory, capture_output=True, text=True, check=True)
    return Path(json.loads(result.stdout)["Dir"]) / "manifests" / "crds"


if __name__ == "__main__":
    print(ARGOCD.build())
