"""The control plane as processes: etcd, kube-apiserver and kube-controller-manager of upstream Kubernetes.

Flags follow https://kubernetes.io/docs/reference/command-line-tools-reference/. etcd runs without fsync: a sandbox does
not outlive its machine. RBAC, the aggregation layer and the audit log are on; the controller manager runs only the
controllers that have something to do where there are no Pods.
"""

import json
from pathlib import Path

from sandbox import kubeconfig, pki
from sandbox.binaries import ControlPlaneBinaries
from sandbox.paths import Layout
from sandbox.process import ProcessSpec, Ready
from sandbox.state import Ports

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "serviceaccount-controller",
)

# Who wrote what, for counting the API writes of a machine; reads would only drown it.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]}, {"level": "None"}],
}


class ControlPlane:
    """One control plane: its certificates and command lines."""

    def __init__(self, layout: Layout, ports: Ports, binaries: ControlPlaneBinaries) -> None:
        self._layout = layout
        self._ports = ports
        self._binaries = binaries
        self._directory = layout.files / "controlplane"
        self._cluster = pki.Authority(layout.pki / "cluster", "metalplane-cluster")
        self._front_proxy = pki.Authority(layout.pki / "front-proxy", "metalplane-front-proxy")

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._ports.apiserver}"

    @property
    def audit_log(self) -> Path:
        return self._layout.log / "audit.jsonl"

    def identity(self, path: Path, user: str, *, groups: tuple[str, ...] = (), server: str | None = None) -> Path:
        """A kubeconfig at ``path`` with a client certificate for that user; ``server`` is another way to reach it."""
        credential = self._cluster.client(user.replace(":", "-"), common_name=user, organizations=groups)
        return kubeconfig.write(
            path, server=server or self.url, authority=self._cluster.certificate, user=user, credential=credential
        )

    def administrator(self) -> Path:
        return self.identity(self._layout.kubeconfig, "admin", groups=("system:masters",))

    def serving(self) -> list[ProcessSpec]:
        """etcd and kube-apiserver."""
        return [self._etcd(), self._apiserver()]

    def controllers(self) -> ProcessSpec:
        """kube-controller-manager. Start it after the CRDs are in: its garbage collector looks for new kinds only
        every 30 seconds."""
        key = pki.signing_key(self._layout.pki / "service-accounts.key")
        config = self.identity(self._directory / "kube-controller-manager.kubeconfig", "system:kube-controller-manager")
        tls = self._cluster.server("kube-controller-manager", names=("127.0.0.1",))
        flags = {
            "kubeconfig": config,
            "controllers": ",".join(CONTROLLERS),
            "leader-elect": "false",
            # Its usual 20 requests a second are meant for a cluster that has other users.
            "kube-api-qps": 500,
            "kube-api-burst": 1000,
            "bind-address": "127.0.0.1",
            "secure-port": self._ports.controller_manager,
            "tls-cert-file": tls.certificate,
            "tls-private-key-file": tls.key,
            "root-ca-file": self._cluster.certificate,
            "service-account-private-key-file": key,
            "use-service-account-credentials": "true",
        }
        healthy = Ready(
            "https", f"https://127.0.0.1:{self._ports.controller_manager}/healthz", str(self._cluster.certificate)
        )
        argv = _command(self._binaries.kube_controller_manager, flags)
        return ProcessSpec("kube-controller-manager", argv, ready=(healthy,), stop_timeout_s=2)

    def _etcd(self) -> ProcessSpec:
        client = f"http://127.0.0.1:{self._ports.etcd_client}"
        peer = f"http://127.0.0.1:{self._ports.etcd_peer}"
        flags = {
            "name": "sandbox",
            "data-dir": self._directory / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"sandbox={peer}",
            "log-level": "warn",
            "unsafe-no-fsync": "true",
        }
        accepts = Ready("tcp", f"127.0.0.1:{self._ports.etcd_client}")
        return ProcessSpec("etcd", _command(self._binaries.etcd, flags), ready=(accepts,))

    def _apiserver(self) -> ProcessSpec:
        self._directory.mkdir(parents=True, exist_ok=True)
        audit_policy = self._directory / "audit-policy.json"
        audit_policy.write_text(json.dumps(_AUDIT_POLICY))
        key = pki.signing_key(self._layout.pki / "service-accounts.key")
        tls = self._cluster.server(
            "kube-apiserver", names=("kubernetes.default.svc", "kubernetes", "localhost", "127.0.0.1", "10.96.0.1")
        )
        proxy = self._front_proxy.client("kube-apiserver", common_name="front-proxy-client")
        flags = {
            "etcd-servers": f"http://127.0.0.1:{self._ports.etcd_client}",
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "endpoint-reconciler-type": "none",
            "secure-port": self._ports.apiserver,
            "tls-cert-file": tls.certificate,
            "tls-private-key-file": tls.key,
            "client-ca-file": self._cluster.certificate,
            "authorization-mode": "RBAC",
            "service-cluster-ip-range": "10.96.0.0/16",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key.with_suffix(".pub"),
            "service-account-signing-key-file": key,
            "requestheader-client-ca-file": self._front_proxy.certificate,
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-username-headers": "X-Remote-User",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "proxy-client-cert-file": proxy.certificate,
            "proxy-client-key-file": proxy.key,
            "enable-aggregator-routing": "false",
            "audit-policy-file": audit_policy,
            "audit-log-path": self.audit_log,
            # In one piece, for whoever counts in it: a thousand machines are more than the usual 100 MB.
            "audit-log-maxsize": 4096,
            "profiling": "false",
        }
        ready = Ready("https", f"{self.url}/readyz", str(self._cluster.certificate))
        return ProcessSpec("kube-apiserver", _command(self._binaries.kube_apiserver, flags), ready=(ready,))


def _command(program: Path, flags: dict[str, object]) -> tuple[str, ...]:
    return (str(program), *(f"--{name}={value}" for name, value in flags.items()))
