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
LOOKED_AT_S = 10.0
"""A certificate authority that is new signs nothing before it is published; it may be used at once after."""

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
    """The front proxy as it is published now; ``changed`` is called with each new one."""

    def __init__(self, client: KubeClient, changed: Callable[[FrontProxy], None]) -> None:
        self._client = client
        self._changed = changed
        self._known: FrontProxy | None = None
        self.known = asyncio.Event()
        """Set once it was read."""

    @property
    def front_proxy(self) -> FrontProxy | None:
        """What was read last."""
        return self._known

    async def follow(self) -> None:
        """Read it for ever. What was read stays good while the API server does not answer."""
        while True:
            try:
                await self.read()
            except (KubeError, ConfigurationError) as error:
                _LOG.warning("front proxy not read error=%s", error)
            await asyncio.sleep(LOOKED_AT_S if self._known else 1.0)

    async def read(self) -> None:
        """Read it once. Raises ``KubeError``, ``ConfigurationError``."""
        found = parse((await self._client.get(CONFIGMAP, NAME, NAMESPACE)).get("data", {}))
        if found == self._known:
            return
        self._known = found
        _LOG.info("front proxy names=%s", ",".join(found.allowed_names) or "any")
        self._changed(found)
        self.known.set()
