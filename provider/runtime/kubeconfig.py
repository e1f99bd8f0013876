"""Where the API server is and who we are there: kubeconfig files, or the ServiceAccount that a Pod is given.

Supported of a kubeconfig's users: client certificates, tokens, token files, impersonation, and exec plugins that return
credentials (client.authentication.k8s.io/v1,
https://kubernetes.io/docs/reference/config-api/client-authentication.v1/). Files are merged as kubectl merges them
(https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/, "Merging kubeconfig files").

``load`` is for processes that watch, ``find`` for commands of a user, as bmctl is: kopf's streams can be told neither
of another server name nor of impersonation, so ``load`` refuses what they would leave out. bmctl starts with this
module, so nothing heavy is imported here.
"""

import base64
import json
import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from provider.runtime.errors import ConfigurationError

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_FRESH_S = 60.0
_EXEC_TIMEOUT_S = 30.0
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: three times as quick."""

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
class Impersonation:
    """Whom the API server is asked to take us for (Kubernetes docs, "User impersonation"); nobody else if empty."""

    user: str | None = None
    groups: tuple[str, ...] = ()
    uid: str | None = None
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def headers(self) -> Iterator[tuple[str, str]]:
        """The headers that say so. A group is a header of its own."""
        if self.user:
            yield "Impersonate-User", self.user
        for group in self.groups:
            yield "Impersonate-Group", group
        if self.uid:
            yield "Impersonate-Uid", self.uid
        for key, values in self.extra:
            for value in values:
                yield f"Impersonate-Extra-{quote(key, safe='')}", value

    def __bool__(self) -> bool:
        return self != Impersonation()


@dataclass(frozen=True)
class Overrides:
    """What a command line says in place of the kubeconfig's words; None, or nothing, leaves those as they are."""

    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    server: str | None = None
    token: str | None = None
    ca_file: Path | None = None
    insecure: bool = False
    impersonation: Impersonation = Impersonation()


@dataclass(frozen=True)
class ClusterAccess:
    """The API server's URL, its certificate authority (PEM) and the source of our credentials.

    ``server_name`` is the name that its certificate must have, where that is not the URL's; ``namespace`` that of the
    context, where it names one.
    """

    server: str
    ca: str | None
    verify: bool = True
    static: Credentials = Credentials()
    token_file: Path | None = None
    plugin: ExecPlugin | None = None
    server_name: str | None = None
    namespace: str | None = None
    impersonation: Impersonation = Impersonation()

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
    home = directory / "namespace"
    namespace = home.read_text(encoding="utf-8").strip() if home.exists() else None
    return ClusterAccess(f"https://{address}:{port}", ca, token_file=directory / "token", namespace=namespace)


def load(path: Path, context: str | None = None) -> ClusterAccess:
    """Access by one context of a kubeconfig file, its current one unless named, for a process that watches."""
    access = _access(_merged([path]), Overrides(context=context), f"the kubeconfig {path}")
    if access.server_name:
        raise _refused(
            path,
            "tls-server-name is not supported: write the API server's URL with a name that its certificate has",
        )
    if access.impersonation:
        raise _refused(path, "impersonation (as, as-groups) is not supported: use credentials of the user itself")
    return access


def find(path: str | None, environ: Mapping[str, str], overrides: Overrides = Overrides()) -> ClusterAccess:
    """Access as kubectl finds it: the file ``path``, those of KUBECONFIG, ~/.kube/config, or the Pod we are in."""
    files = kubeconfig_files(path, environ)
    present = files if path else [each for each in files if each.exists()]
    if not present and not overrides.server:
        if environ.get("KUBERNETES_SERVICE_HOST"):
            return _overridden(in_cluster(environ), overrides)
        named = ", ".join(map(str, files))
        raise ConfigurationError(
            "find",
            subject="a kubeconfig",
            cause=f"there is no {named}",
            next_step="name one with --kubeconfig or KUBECONFIG",
        )
    subject = f"the kubeconfig {', '.join(map(str, present))}" if present else "the options"
    return _access(_merged(present), overrides, subject)


def kubeconfig_files(path: str | None, environ: Mapping[str, str]) -> list[Path]:
    """The files that are asked, in order; those of KUBECONFIG need not exist."""
    if path:
        return [Path(path)]
    named = [Path(each) for each in environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return named or [Path(environ.get("HOME") or "/", ".kube", "config")]


def contexts(path: str | None, environ: Mapping[str, str]) -> list[str]:
    """Names of all contexts there are, for completion. Raises ``ConfigurationError``."""
    return list(_merged([each for each in kubeconfig_files(path, environ) if each.exists()]).contexts)


@dataclass
class _Merged:
    """Several files as one: of two entries with one name the first counts, and a path is relative to its own file."""

    current: str = ""
    contexts: dict[str, dict[str, Any]] = field(default_factory=dict)
    clusters: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)
    users: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)


def _merged(paths: Sequence[Path]) -> _Merged:
    merged = _Merged()
    for path in paths:
        try:
            document = yaml.load(path.read_text(encoding="utf-8"), _LOADER) or {}  # noqa: S506 (both are safe loaders)
            merged.current = merged.current or document.get("current-context") or ""
            for entry in document.get("contexts") or ():
                merged.contexts.setdefault(entry["name"], entry.get("context") or {})
            for entry in document.get("clusters") or ():
                merged.clusters.setdefault(entry["name"], (path.parent, entry.get("cluster") or {}))
            for entry in document.get("users") or ():
                merged.users.setdefault(entry["name"], (path.parent, entry.get("user") or {}))
        except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
            raise _refused(path, _cause(error)) from error
    return merged


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, KeyError | TypeError | AttributeError):
        return f"it is no kubeconfig ({error})"
    return " ".join(str(error).split())


def _refused(path: Path, cause: str) -> ConfigurationError:
    return ConfigurationError(
        "read", subject=f"the kubeconfig {path}", cause=cause, next_step="check the file and its context"
    )


def _access(merged: _Merged, overrides: Overrides, subject: str) -> ClusterAccess:
    try:
        context = _context(merged, overrides)
        base, cluster = _entry(merged.clusters, "cluster", overrides.cluster or context.get("cluster"), overrides)
        user_base, user = _entry(merged.users, "user", overrides.user or context.get("user"), overrides)
        return _overridden(_of(base, cluster, user_base, user, context), overrides)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        cause = str(error) if isinstance(error, ValueError) else _cause(error)
        raise ConfigurationError(
            "read", subject=subject, cause=cause, next_step="check the file and its context"
        ) from error


def _context(merged: _Merged, overrides: Overrides) -> Mapping[str, Any]:
    name = overrides.context or merged.current
    if name in merged.contexts:
        return merged.contexts[name]
    if overrides.context or (name and not overrides.server):
        raise ValueError(f"there is no context named {name!r}; there are: {', '.join(merged.contexts) or 'none'}")
    if not overrides.server and not overrides.cluster:
        raise ValueError("it has no current-context, and none was named")
    return {}


def _entry(
    entries: Mapping[str, tuple[Path, dict[str, Any]]], what: str, name: str | None, overrides: Overrides
) -> tuple[Path, dict[str, Any]]:
    if name and name in entries:
        return entries[name]
    if name and not (what == "cluster" and overrides.server):
        raise ValueError(f"there is no {what} named {name!r}")
    return Path(), {}


def _of(
    base: Path, cluster: Mapping[str, Any], user_base: Path, user: Mapping[str, Any], context: Mapping[str, Any]
) -> ClusterAccess:
    if "username" in user or "auth-provider" in user:
        raise ValueError("basic authentication and auth-provider are not supported: use a certificate, token or exec")
    if cluster.get("proxy-url"):
        raise ValueError("proxy-url is not supported: name an address of the API server that can be reached")
    token_file = user.get("tokenFile")
    extra = user.get("as-user-extra") or {}
    return ClusterAccess(
        server=str(cluster.get("server") or "").rstrip("/"),
        ca=_pem(base, cluster, "certificate-authority"),
        verify=not cluster.get("insecure-skip-tls-verify", False),
        static=Credentials(
            _pem(user_base, user, "client-certificate"), _pem(user_base, user, "client-key"), user.get("token") or None
        ),
        token_file=user_base / token_file if token_file else None,
        plugin=_plugin(user["exec"]) if user.get("exec") else None,
        server_name=cluster.get("tls-server-name") or None,
        namespace=context.get("namespace") or None,
        impersonation=Impersonation(
            user.get("as") or None,
            tuple(user.get("as-groups") or ()),
            user.get("as-uid") or None,
            tuple((key, tuple(values)) for key, values in extra.items()),
        ),
    )


def _overridden(access: ClusterAccess, overrides: Overrides) -> ClusterAccess:
    if overrides.server:
        access = replace(access, server=overrides.server.rstrip("/"))
    if overrides.ca_file:
        access = replace(access, ca=overrides.ca_file.read_text(encoding="ascii"))
    if overrides.insecure:
        access = replace(access, verify=False)
    if overrides.token:
        access = replace(access, static=Credentials(token=overrides.token), token_file=None, plugin=None)
    if overrides.impersonation:
        access = replace(access, impersonation=overrides.impersonation)
    if overrides.namespace:
        access = replace(access, namespace=overrides.namespace)
    if not access.server.startswith(("https://", "http://")):
        raise ValueError(f"{access.server or 'nothing'!r} is no URL of an API server")
    return access


def _plugin(entry: Mapping[str, Any]) -> ExecPlugin:
    if entry["apiVersion"] not in _EXEC_API_VERSIONS:
        raise ValueError(f"exec plugins of {entry['apiVersion']} are not supported")
    env = tuple((item["name"], item["value"]) for item in entry.get("env") or ())
    return ExecPlugin(entry["apiVersion"], entry["command"], tuple(entry.get("args") or ()), env)


def _run_plugin(plugin: ExecPlugin) -> Credentials:
    import subprocess
    from datetime import datetime

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


def _pem(base: Path, entry: Mapping[str, Any], field: str) -> str | None:
    if entry.get(f"{field}-data"):
        # Without its check it passes over what is no base64, and an authority that is lost so would be the system's.
        return base64.b64decode("".join(entry[f"{field}-data"].split()), validate=True).decode("ascii")
    if entry.get(field):
        return (base / str(entry[field])).read_text(encoding="ascii")
    return None


def _load_certificate(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    import tempfile

    # Python's ssl loads a key only from a file; this one is ours alone (mode 0600) and gone at once.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate.rstrip()}\n{private_key.rstrip()}\n")
        file.flush()
        context.load_cert_chain(file.name)
