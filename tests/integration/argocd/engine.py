"""Argo CD beside a real API server: application controller, repo-server and redis as processes, and no Pods.

They live in a network namespace with nothing but loopback, for the controller's metrics listen on every address. The
API server is reached through a relay.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from provider.api.resources import CUSTOMRESOURCEDEFINITION, ResourceType
from sandbox import network, state
from sandbox.apiserver import ApiServer
from sandbox.process import ProcessSpec
from tests.integration.argocd import settings
from tests.integration.rest import Rest
from tests.integration.waiting import eventually
from tests.tools.argocd.program import definitions

Json = dict[str, Any]

NAMESPACE = "argocd"
APPLICATION = ResourceType("argoproj.io", "v1alpha1", "applications", "Application", True)
APPPROJECT = ResourceType("argoproj.io", "v1alpha1", "appprojects", "AppProject", True)

_KUBERNETES_PORT = 6443
_REDIS_PORT = 6379
_REDIS = f"127.0.0.1:{_REDIS_PORT}"
_REPO_SERVER = "127.0.0.1:8081"
_ASK_PASS = Path("/tmp/reposerver-ask-pass.sock")
"""The repo-server's place for git's questions, wherever TMPDIR is; it leaves it behind. Nobody asks here."""


class Engine:
    """One Argo CD, told about our kinds as ``docs/gitops.md`` says."""

    def __init__(self, apiserver: ApiServer, rest: Rest, programs: Path) -> None:
        self._apiserver, self._rest, self._programs = apiserver, rest, programs
        self._directory = apiserver.layout.files / "argocd"
        self._netns = f"{apiserver.layout.network_namespace_prefix}argocd"

    def install(self) -> None:
        """Argo CD's own kinds and objects, then what ``deploy/argocd`` adds to them."""
        kubectl = self._apiserver.kubectl
        for name in ("application", "appproject"):
            kubectl.run("apply", "--server-side", f"--filename={definitions() / f'{name}-crd.yaml'}")
            eventually(partial(self._served, f"{name}s.argoproj.io"), bool)
        kubectl.apply(_objects())
        kubectl.run("apply", "--server-side", f"--kustomize={settings.DEPLOY}")

    def start(self) -> None:
        verifier = self._directory / "bin" / "git-verify-wrapper.sh"
        verifier.parent.mkdir(parents=True)
        # The repo-server has each commit looked at, whether or not anybody asked for signatures: there are none.
        verifier.write_text("#!/bin/sh\n")
        verifier.chmod(0o755)
        network.ensure_namespace(self._netns)
        self._apiserver.supervisor.start(self._processes())

    def stop(self) -> None:
        self._apiserver.supervisor.stop([process.name for process in self._processes()])
        network.remove_namespaces(self._netns)
        shutil.rmtree(self._directory)
        _ASK_PASS.unlink(missing_ok=True)

    def tree(self, application: str) -> list[Json]:
        """What Argo CD shows below an application: each object with its health, as kept in redis for its users."""
        (key,) = self._redis_cli("--raw", "KEYS", f"app|resources-tree|{application}|*").decode().split()
        compressed = self._redis_cli("--raw", "GET", key)
        nodes: list[Json] = json.loads(gzip.decompress(compressed[:-1]))["nodes"]
        return nodes

    def _redis_cli(self, *command: str) -> bytes:
        argv = ["ip", "netns", "exec", self._netns, "redis-cli", "-p", str(_REDIS_PORT), *command]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    def _served(self, definition: str) -> bool:
        # Null, not missing, in a definition's first moments.
        conditions = self._rest.get(CUSTOMRESOURCEDEFINITION, definition)["status"]["conditions"] or ()
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    def _processes(self) -> list[ProcessSpec]:
        return [self._relay(), self._redis(), self._repo_server(), self._controller()]

    def _relay(self) -> ProcessSpec:
        chosen = state.read(self._apiserver.layout.state)
        assert chosen is not None
        options = {"netns": self._netns, "port": _KUBERNETES_PORT, "target-port": chosen.ports.apiserver}
        flags = (f"--{name}={value}" for name, value in options.items())
        return ProcessSpec("argocd-relay", (sys.executable, "-m", "sandbox.relay", *flags))

    def _redis(self) -> ProcessSpec:
        argv = ("redis-server", "--bind", "127.0.0.1", "--port", str(_REDIS_PORT), "--save", "", "--appendonly", "no")
        return self._inside("argocd-redis", argv)

    def _repo_server(self) -> ProcessSpec:
        program = str(self._programs / "argocd-repo-server")
        flags = ("--disable-tls", "--client-ca-path=", f"--redis={_REDIS}")
        return self._inside("argocd-repo-server", (program, *flags))

    def _controller(self) -> ProcessSpec:
        program = str(self._programs / "argocd-application-controller")
        flags = (
            f"--namespace={NAMESPACE}",
            f"--repo-server={_REPO_SERVER}",
            "--repo-server-plaintext",
            f"--redis={_REDIS}",
            "--persist-resource-health",
        )
        return self._inside("argocd-application-controller", (program, *flags))

    def _inside(self, name: str, argv: tuple[str, ...]) -> ProcessSpec:
        kubeconfig = self._apiserver.control_plane.identity(
            self._apiserver.layout.files / "argocd.kubeconfig",
            "argocd-application-controller",
            groups=("system:masters",),
            server=f"https://127.0.0.1:{_KUBERNETES_PORT}",
        )
        environment = {
            "KUBECONFIG": str(kubeconfig),
            # Else it takes itself for a Pod, and asks for its ServiceAccount's token.
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "PATH": f"{self._directory / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
        }
        return ProcessSpec(name, argv, environment=environment, network_namespace=self._netns)


def _objects() -> list[Json]:
    """What Argo CD wants to find, and a setting of the operator's that ours must leave alone."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _of_argocd("ConfigMap", "argocd-cm", data={"timeout.reconciliation": "120s"}),
        _of_argocd("ConfigMap", "argocd-rbac-cm"),
        _of_argocd("Secret", "argocd-secret", stringData={"server.secretkey": "of no use without argocd-server"}),
        {
            "apiVersion": APPPROJECT.api_version,
            "kind": APPPROJECT.kind,
            "metadata": {"name": "default", "namespace": NAMESPACE},
            "spec": {"sourceRepos": [], "destinations": []},
        },
    ]


def _of_argocd(kind: str, name: str, **content: Json) -> Json:
    labels = {"app.kubernetes.io/part-of": "argocd"}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}
