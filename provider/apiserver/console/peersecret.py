"""The secret by which replicas know each other: made by whoever is first, read by all."""

import base64
import hmac
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from provider.api.resources import SECRET
from provider.api.subresources import PEERS_SECRET
from provider.runtime.client import KubeClient
from provider.runtime.errors import AlreadyExists, KubeError, NotFound
from provider.runtime.secrets import read_secret

_KEY = "token"
_BYTES = 32
_KEPT_S = 60.0


class PeerSecret:
    """Read at most once a minute: one that is changed by hand counts after that."""

    def __init__(
        self, client: KubeClient, namespace: str, *, field_manager: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._field_manager = field_manager
        self._clock = clock
        self._token = b""
        self._until_s = float("-inf")

    async def prepare(self) -> None:
        """Have it made before anybody needs it. Whoever does tries again what fails here."""
        with suppress(KubeError):
            await self.token()

    async def token(self) -> str:
        """What to show to a peer. Raises KubeError."""
        if self._clock() >= self._until_s:
            self._token = await self._read()
            self._until_s = self._clock() + _KEPT_S
        return self._token.decode()

    async def is_right(self, shown: str) -> bool:
        """Whether a peer showed it, in constant time. Raises KubeError."""
        return hmac.compare_digest((await self.token()).encode(), shown.encode(errors="surrogateescape"))

    async def _read(self) -> bytes:
        while True:
            try:
                token = (await read_secret(self._client, PEERS_SECRET, self._namespace)).get(_KEY, b"")
            except NotFound:
                await self._make()
                continue
            if not token:
                raise NotFound(
                    "read", subject=f"key {_KEY} of Secret {self._namespace}/{PEERS_SECRET}", cause="it is not there"
                )
            return token

    async def _make(self) -> None:
        token = base64.b64encode(secrets.token_urlsafe(_BYTES).encode()).decode()
        secret = {
            "metadata": {"name": PEERS_SECRET, "namespace": self._namespace},
            "type": "Opaque",
            "data": {_KEY: token},
        }
        try:
            await self._client.create(SECRET, secret, field_manager=self._field_manager)
        except AlreadyExists:
            return
