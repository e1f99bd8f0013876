"""How the API server's front proxy is known, as the API server itself publishes it, and followed when that changes.

Source: ConfigMap ``kube-system/extension-apiserver-authentication``, which kube-apiserver writes for aggregated API
servers (Kubernetes documentation, "Configure the Aggregation Layer", "Extension Apiserver Authenticates the Request").
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from provider.api.resources import CONFIGMAP
from provider.runtime.client import KubeClient
from provider.runtime.errors import ConfigurationError, KubeError

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
WATCHED_S = 60.0
"""A watch that broke without a word costs no more than this."""

_PAUSE_S = 1.0
_PAUSE_AFTER_FAILURE_S = 10.0
"""Once it was read: what was read stays good."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """Whom to believe, and in which headers it says who asks. ``allowed_names`` empty: any name of that authority."""

    client_ca: str
    allowed_names: tuple[str, ...]
    username_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]
    uid_headers: tuple[str, ...] = ()

    def allows(self, common_name: str) -> bool:
        """Whether a certificate of the authority, of that name, is the front proxy's."""
        return not self.allowed_names or common_name in self.allowed_names


def parse(data: Mapping[str, str]) -> FrontProxy:
    """The front proxy that the config map's ``data`` describes. Raises ``ConfigurationError``."""
    try:
        ca = data["requestheader-client-ca-file"]
        usernames = _names(data, "requestheader-username-headers")
        known = FrontProxy(
            client_ca=ca,
            allowed_names=_names(data, "requestheader-allowed-names"),
            username_headers=usernames,
            group_headers=_names(data, "requestheader-group-headers"),
            extra_prefixes=_names(data, "requestheader-extra-headers-prefix"),
            uid_headers=_names(data, "requestheader-uid-headers"),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _unusable(repr(error)) from error
    if not ca.strip() or not usernames:
        raise _unusable("it names no authority, or no header for users")
    return known


def _names(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(str(name) for name in json.loads(data.get(key) or "[]"))


def _unusable(cause: str) -> ConfigurationError:
    return ConfigurationError(
        "read",
        subject=f"ConfigMap {NAMESPACE}/{NAME}",
        cause=cause,
        next_step="start kube-apiserver with --requestheader-client-ca-file and --requestheader-username-headers",
    )


class FrontProxyConfig:
    """The front proxy as it is published now."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._known: FrontProxy | None = None
        self.known = asyncio.Event()
        """Set once it was read."""

    @property
    def front_proxy(self) -> FrontProxy | None:
        """What was read last."""
        return self._known

    async def follow(self, changed: Callable[[FrontProxy], None]) -> None:
        """Read it for ever, as soon as it changes: a new authority may be used as soon as it is published.

        ``changed`` is called with each new one, before it counts. What was read stays good while the API server does
        not answer.
        """
        while True:
            pause_s = _PAUSE_S
            try:
                version = await self._read(changed)
                await self._client.until_changed(CONFIGMAP, NAME, NAMESPACE, since=version, within_s=WATCHED_S)
            except (KubeError, ConfigurationError) as error:
                _LOG.warning("front proxy not read error=%s", error)
                pause_s = _PAUSE_AFTER_FAILURE_S if self._known else _PAUSE_S
            await asyncio.sleep(pause_s)

    async def _read(self, changed: Callable[[FrontProxy], None]) -> str:
        """Read it once; its resource version. Raises ``KubeError``, ``ConfigurationError``."""
        published = await self._client.get(CONFIGMAP, NAME, NAMESPACE)
        found = parse(published.get("data", {}))
        if found != self._known:
            changed(found)
            self._known = found
            _LOG.info("front proxy names=%s", ",".join(found.allowed_names) or "any")
            self.known.set()
        version: str = published["metadata"]["resourceVersion"]
        return version
