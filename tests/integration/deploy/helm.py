"""helm and kubeconform, as their users run them, on the chart of this checkout."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.paths import SOURCE

Json = dict[str, Any]

CHART = SOURCE / "deploy" / "helm" / "metalplane"
RELEASE = "metalplane"
NAMESPACE = "metalplane-system"
IMAGES = {"image": {name: {"repository": f"registry.example/metalplane/{name}"} for name in ("provider", "agent")}}
"""The least that an installation must say."""

VALUES: Json = {**IMAGES, "dpus": [{"name": "dpu0"}], "lvol": {"enabled": True, "traddr": "192.0.2.10"}}
"""Of an installation on the API server."""

_NOT_SERVED_YET = 'no matches for kind "ClusterProviderConfig"'
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Helm:
    """helm with a home of its own. Without a ``kubeconfig`` it has no cluster."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        places = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        cluster = {"KUBECONFIG": str(self.kubeconfig or self.home / "none")}
        return subprocess.run(
            [str(self.program), *arguments],
            input=stdin,
            env=os.environ | places | cluster,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

    def done(self, *arguments: str, stdin: str | None = None) -> str:
        """Its output; fails the test with what it said against the request."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def template(self, values: Json, chart: Path = CHART) -> list[Json]:
        """The objects of a release with those values."""
        text = self.done("template", RELEASE, str(chart), f"--namespace={NAMESPACE}", "--values=-", stdin=told(values))
        return [document for document in yaml.safe_load_all(text) if document]

    def refusal(self, values: Json) -> str:
        """Why it renders nothing with those values."""
        ended = self.run("template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--values=-", stdin=told(values))
        assert ended.returncode != 0, "it was taken"
        return ended.stderr

    def install(self, values: Json, chart: Path = CHART) -> str:
        """Install or upgrade; again, as docs/operations.md says, where the new kinds were not served yet."""
        arguments = (RELEASE, str(chart), f"--namespace={NAMESPACE}", "--create-namespace", "--values=-")
        first = self.run("upgrade", "--install", *arguments, stdin=told(values))
        if first.returncode and _NOT_SERVED_YET in first.stderr:
            return self.done("upgrade", "--install", *arguments, stdin=told(values))
        assert first.returncode == 0, first.stderr
        return first.stdout


def told(values: Json) -> str:
    return json.dumps(values)


def example(name: str) -> Json:
    """The values of one of the chart's examples."""
    values: Json = yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())
    return values


def named(objects: list[Json], kind: str, name: str, namespace: str | None = None) -> Json:
    """The one object of that kind and name."""
    (found,) = [
        obj
        for obj in objects
        if obj["kind"] == kind
        and obj["metadata"]["name"] == name
        and namespace in (None, obj["metadata"].get("namespace"))
    ]
    return found
