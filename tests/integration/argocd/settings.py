"""What ``deploy/argocd`` tells Argo CD, as its own installation command reads it."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from sandbox import binaries
from sandbox.paths import SOURCE

Json = dict[str, Any]

DEPLOY = SOURCE / "deploy" / "argocd"
_HEALTH = "resource.customizations.health.metalplane.io_"
_DIFFERENCES = "resource.customizations.ignoreDifferences.metalplane.io_"


def configuration() -> Json:
    """The ConfigMap that ``kubectl apply --kustomize deploy/argocd`` applies."""
    argv = [str(binaries.find().kubectl), "kustomize", str(DEPLOY)]
    rendered = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    (config,) = yaml.safe_load_all(rendered)
    assert config["metadata"]["name"] == "argocd-cm"
    return dict(config)


def health_checks(config: Json) -> dict[str, str]:
    """Lua by kind."""
    return _of_kinds(config, _HEALTH)


def ignored_differences(config: Json) -> dict[str, list[str]]:
    """JSON pointers by kind."""
    return {kind: yaml.safe_load(text)["jsonPointers"] for kind, text in _of_kinds(config, _DIFFERENCES).items()}


def example(name: str) -> Json:
    """A manifest of ``deploy/argocd/examples``."""
    manifest: Json = yaml.safe_load((DEPLOY / "examples" / f"{name}.yaml").read_text())
    return manifest


def write(directory: Path, config: Json) -> Path:
    """The ConfigMap as a file."""
    path = directory / "argocd-cm.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _of_kinds(config: Json, prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in config["data"].items() if key.startswith(prefix)}
