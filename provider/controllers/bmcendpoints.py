"""Where a server's BMC is and as whom to speak to it: the Server and its Secret.

Credentials that were read a while ago are used again; a Secret that is changed is read when the BMC refuses them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from provider.api.reasons import Reason
from provider.api.server import Server, ServerSpec
from provider.bmc.endpoint import Endpoint
from provider.planning.powerworld import Fault
from provider.runtime.client import KubeClient
from provider.runtime.errors import NotFound
from provider.runtime.secrets import read_secret

CREDENTIALS_KEPT_S = 60.0
_CREDENTIALS = ("username", "password")


@dataclass(frozen=True, slots=True)
class _Known:
    spec: ServerSpec
    endpoint: Endpoint
    until_s: float


class BMCEndpoints:
    """By server UID. All of it may be forgotten at any time."""

    def __init__(
        self, client: KubeClient, installation_namespace: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._namespace = installation_namespace
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def of(self, server: Server) -> Endpoint | Fault:
        """The BMC of the server, or why nobody can log in there."""
        known = self._known.get(server.metadata.uid)
        if known is not None and known.spec.bmc == server.spec.bmc and self._clock() < known.until_s:
            return known.endpoint
        endpoint = await self._read(server)
        if isinstance(endpoint, Endpoint):
            self._known[server.metadata.uid] = _Known(server.spec, endpoint, self._clock() + CREDENTIALS_KEPT_S)
        return endpoint

    def forget(self, server_uid: str) -> None:
        """The BMC did not answer well: read the Secret again at the next time."""
        self._known.pop(server_uid, None)

    async def _read(self, server: Server) -> Endpoint | Fault:
        bmc = server.spec.bmc
        where = f"Secret {self._namespace}/{bmc.secret_ref.name} of Server {server.metadata.name}"
        try:
            secret = await read_secret(self._client, bmc.secret_ref.name, self._namespace)
        except NotFound:
            return Fault(Reason.SECRET_NOT_FOUND, f"{where} does not exist: make it, with keys username and password")
        missing = [key for key in _CREDENTIALS if key not in secret]
        if missing:
            return Fault(Reason.SECRET_NOT_FOUND, f"{where} has no key {' and no key '.join(missing)}")
        username, password = (secret[key].decode() for key in _CREDENTIALS)
        return Endpoint(bmc.address, bmc.port, username, password)
