"""Where the API server is and who we are there: a kubeconfig file, or the ServiceAccount that a Pod is given.

Supported of a kubeconfig's users: client certificates, tokens, token files, and exec plugins that return either
(client.authentication.k8s.io/v1, https://kubernetes.io/docs/reference/config-api/client-authentication.v1/).
"""

import base64
import json
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from provider.runtime.errors import ConfigurationError

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_FRESH_S = 60.0
_EXEC_TIMEOUT_S = 30.0
_EXEC_API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True)
class ExecPlugin:
    """A program that prints credentials (the ``exec`` entry of a kubeconfig's user)."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Credentials:
    """What one identity shows to the API server: a certificate with its key, or a token. PEM texts."""

    certificate: str | None = None
    private_key: str | None = None
    token: str | None = None
    expires_at: float | None = None


@dataclass(frozen=True)
class ClusterAccess:
    """The API server's URL, its certificate authority (PEM) and the source of our credentials."""

    server: str
    ca: str | None
    verify: bool = True
    static: Credentials = Credentials()
    token_file: Path | None = None
    plugin: ExecPlugin | None = None

    def credentials(self, *, now: float | None = None) -> Credentials:
        """Credentials good at ``now`` (seconds since the epoch). May read a file or run a program: not for the loop."""
        now = time.time() if now is None else now
        if self.plugin is not None:
            return _run_plugin(self.plugin)
        if self.token_file is not None:
            token = self.token_file.read_text(encoding="utf-8").strip()
            return Credentials(self.static.certificate, self.static.private_key, token, now + _TOKEN_FRESH_S)
        return self.static

    def ssl_context(self, credentials: Credentials) -> ssl.SSLContext:
        """A client context that checks the server and shows our certificate, if we have one."""
        context = ssl.create_default_context(cadata=self.ca)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if credentials.certificate and credentials.private_key:
            _load_certificate(context, credentials.certificate, credentials.private_key)
        return context


def in_cluster(environ: Mapping[str, str], directory: Path = SERVICE_ACCOUNT_DIR) -> ClusterAccess:
    """Access of a Pod's ServiceAccount; its token is read again as the kubelet rotates it."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (directory / "token").exists():
        raise ConfigurationError(
            "find", subject="the Kubernetes API", cause="this is no Pod", next_step="name a file with --kubeconfig"
        )
    address = f"[{host}]" if ":" in host else host
    ca = (directory / "ca.crt").read_text(encoding="ascii")
    return ClusterAccess(f"https://{address}:{port}", ca, token_file=directory / "token")


def load(path: Path, context: str | None = None) -> ClusterAccess:
    """Access by one context of a kubeconfig file: its current one unless named."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        name = context or document["current-context"]
        chosen = _named(document["contexts"], name)["context"]
        cluster = _named(document["clusters"], chosen["cluster"])["cluster"]
        user = _named(document["users"], chosen["user"]).get("user") or {}
        return _access(path.parent, cluster, user)
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(
            "read", subject=f"the kubeconfig {path}", cause=repr(error), next_step="check the file and its context"
        ) from error


def _access(base: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ClusterAccess:
    if "username" in user or "auth-provider" in user:
        raise ValueError("basic authentication and auth-provider are not supported: use a certificate, token or exec")
    if cluster.get("tls-server-name"):
        # kopf's streams check the name that they connect to, and cannot be told of another.
        raise ValueError(
            "tls-server-name is not supported: write the API server's URL with a name that its certificate has"
        )
    token_file = user.get("tokenFile")
    return ClusterAccess(
        server=cluster["server"].rstrip("/"),
        ca=_pem(base, cluster, "certificate-authority"),
        verify=not cluster.get("insecure-skip-tls-verify", False),
        static=Credentials(
            _pem(base, user, "client-certificate"), _pem(base, user, "client-key"), user.get("token") or None
        ),
        token_file=base / token_file if token_file else None,
        plugin=_plugin(user["exec"]) if user.get("exec") else None,
    )


def _plugin(entry: Mapping[str, Any]) -> ExecPlugin:
    if entry["apiVersion"] not in _EXEC_API_VERSIONS:
        raise ValueError(f"exec plugins of {entry['apiVersion']} are not supported")
    env = tuple((item["name"], item["value"]) for item in entry.get("env") or ())
    return ExecPlugin(entry["apiVersion"], entry["command"], tuple(entry.get("args") or ()), env)


def _run_plugin(plugin: ExecPlugin) -> Credentials:
    request = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": json.dumps(request)}
    try:
        done = subprocess.run(
            [plugin.command, *plugin.args],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_EXEC_TIMEOUT_S,
            check=True,
        )
        status = json.loads(done.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise ConfigurationError(
            "get credentials from", subject=f"the exec plugin {plugin.command}", cause=str(error)
        ) from error
    expires = status.get("expirationTimestamp")
    return Credentials(
        status.get("clientCertificateData"),
        status.get("clientKeyData"),
        status.get("token"),
        datetime.fromisoformat(expires).timestamp() if expires else None,
    )


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise ValueError(f"there is no entry named {name!r}")


def _pem(base: Path, entry: Mapping[str, Any], field: str) -> str | None:
    if entry.get(f"{field}-data"):
        return base64.b64decode(entry[f"{field}-data"]).decode("ascii")
    if entry.get(field):
        return (base / str(entry[field])).read_text(encoding="ascii")
    return None


def _load_certificate(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    # Python's ssl loads a key only from a file; this one is ours alone (mode 0600) and gone at once.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate.rstrip()}\n{private_key.rstrip()}\n")
        file.flush()
        context.load_cert_chain(file.name)
