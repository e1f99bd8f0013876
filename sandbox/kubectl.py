"""The administrator's kubectl: the sandbox speaks to a cluster only as its user would."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import CommandFailed, CommandOverdue

Json = dict[str, Any]

FIELD_MANAGER = "metalplane-sandbox"
LIMIT_S = 75.0
"""More than the ``--timeout`` of any caller that names no limit of its own, so that kubectl says what it waited for."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl of one cluster, as one user."""

    program: Path
    kubeconfig: Path

    def run(self, *arguments: str, stdin: str | None = None, timeout_s: float = LIMIT_S) -> str:
        """The output of ``kubectl ARGUMENTS``; raises ``CommandFailed`` with what it said, or ``CommandOverdue``."""
        argv = self.command(*arguments)
        try:
            result = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            next_step = "See whether the API server answers: `python -m sandbox status`."
            raise CommandOverdue(["kubectl", *arguments], timeout_s, next_step=next_step) from error
        if result.returncode:
            raise CommandFailed(["kubectl", *arguments], result.returncode, result.stderr)
        return result.stdout

    def command(self, *arguments: str) -> list[str]:
        # A cache of its own: what discovery said before our kinds were served must not mislead the user's kubectl.
        cache = self.kubeconfig.parent / "kubectl-cache"
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", *arguments]

    def apply(self, objects: Iterable[Json]) -> None:
        """Server-side apply, in the order given."""
        documents = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run(
            "apply",
            "--server-side",
            "--force-conflicts",
            f"--field-manager={FIELD_MANAGER}",
            "--filename=-",
            stdin=json.dumps(documents),
        )

    def apply_definitions(self, definitions: Iterable[Json]) -> None:
        """Apply CRDs and return when the API server serves them."""
        definitions = list(definitions)
        self.apply(definitions)
        names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
        self.run("wait", "--for=condition=Established", "--timeout=30s", *names)

    def get(self, *arguments: str) -> Json:
        """``kubectl get ARGUMENTS -o json``."""
        value: Json = json.loads(self.run("get", *arguments, "--output=json"))
        return value
