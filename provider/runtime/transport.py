"""HTTP to the API server: login, deadlines, typed errors, and repetition of what may be repeated."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from provider.runtime.controller import Json
from provider.runtime.errors import Unavailable, kube_error
from provider.runtime.kubeconfig import ClusterAccess, Credentials

CONTENT_JSON = "application/json"
CONTENT_APPLY = "application/apply-patch+yaml"
CONTENT_MERGE = "application/merge-patch+json"
_RETRY_DELAYS_S = (0.1, 0.3, 1.0, 3.0)
_CONNECTIONS = 64


@dataclass(frozen=True)
class Request:
    """One request. ``attempt`` and ``subject`` name it in errors; ``guard`` is asked each time before it is sent.

    ``watched_s``: it is a watch that ends after so long, and over as soon as anything comes of it.
    """

    method: str
    path: str
    attempt: str
    subject: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json | None = None
    content_type: str = CONTENT_JSON
    guard: Callable[[], None] | None = None
    watched_s: float | None = None


class Transport:
    """One pool of connections, opened at first use and again when the credentials change."""

    def __init__(self, access: ClusterAccess, *, timeout_s: float, user_agent: str) -> None:
        self.access = access
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10.0)
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._credentials = Credentials()
        self._login = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request, *, repeat: bool) -> Json:
        """The decoded answer. With ``repeat``, a busy or absent API server is asked again, up to about 4 s."""
        for delay_s in _RETRY_DELAYS_S if repeat else ():
            try:
                return await self._send_once(request)
            except Unavailable:
                await asyncio.sleep(delay_s)
        return await self._send_once(request)

    async def _send_once(self, request: Request) -> Json:
        if request.guard is not None:
            request.guard()
        try:
            session = await self._connected()
            async with session.request(
                request.method,
                self.access.server + request.path,
                params=request.query,
                data=None if request.body is None else json.dumps(request.body, separators=(",", ":")).encode(),
                headers=self._headers(request),
                timeout=self._patience(request),
            ) as response:
                status = response.status
                watches = request.watched_s is not None and status < 400
                payload = await (response.content.readany() if watches else response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise Unavailable(
                request.attempt, subject=request.subject, cause=cause, next_step="it is retried"
            ) from error
        answer = {} if watches else _decode(payload)
        if status == 401:
            await self._forget_credentials()
        if status >= 400:
            raise kube_error(request.attempt, request.subject, status, answer)
        return answer

    def _patience(self, request: Request) -> aiohttp.ClientTimeout:
        if request.watched_s is None:
            return self._timeout
        total_s = request.watched_s + (self._timeout.total or 0)
        return aiohttp.ClientTimeout(total=total_s, sock_connect=self._timeout.sock_connect)

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": CONTENT_JSON, "User-Agent": self._user_agent}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if self._credentials.token:
            headers["Authorization"] = f"Bearer {self._credentials.token}"
        return headers

    async def _connected(self) -> aiohttp.ClientSession:
        async with self._login:
            if self._session is None or _expired(self._credentials):
                fresh = await asyncio.get_running_loop().run_in_executor(None, self.access.credentials)
                if self._session is None or fresh.certificate != self._credentials.certificate:
                    await self._open(fresh)
                self._credentials = fresh
            assert self._session is not None
            return self._session

    async def _open(self, credentials: Credentials) -> None:
        await self.close()
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=self.access.ssl_context(credentials))
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)

    async def _forget_credentials(self) -> None:
        async with self._login:
            self._credentials = Credentials(
                self._credentials.certificate, self._credentials.private_key, self._credentials.token, expires_at=0.0
            )


def _expired(credentials: Credentials) -> bool:
    return credentials.expires_at is not None and credentials.expires_at <= time.time()


def _decode(payload: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(payload) if payload else {}
    except ValueError:
        return {"message": payload[:200].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {}
