"""Who asks: the user that the front proxy names, or whoever a token belongs to.

The front proxy is believed for its certificate, which TLS has checked against the requestheader authority of now and
nothing else; its name must be an allowed one. Headers that say who somebody is are worth nothing without it. A caller
that comes past the API server shows a bearer token, which TokenReview judges.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ssl import SSLObject
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from provider.api.resources import TOKENREVIEW
from provider.apiserver.caller import Caller
from provider.apiserver.errors import Denied, Unauthenticated
from provider.apiserver.remembering import Remembered
from provider.apiserver.requestheader import FrontProxy
from provider.runtime.client import KubeClient

REMEMBERED_S = 10.0
"""As long as upstream's aggregated API servers remember a token (k8s.io/apiserver, DelegatingAuthenticationOptions)."""

_ANYBODY = "system:authenticated"
_IMPERSONATION = "impersonate-"
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Token:
    """Whose token it is; None where it is nobody's."""

    caller: Caller | None


class Authentication:
    """``front_proxy`` gives the configuration of the moment; ``believed`` says whether TLS still believes a client."""

    def __init__(
        self,
        client: KubeClient,
        front_proxy: Callable[[], FrontProxy | None],
        believed: Callable[[SSLObject], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._front_proxy = front_proxy
        self._believed = believed
        self._tokens: Remembered[str, Token] = Remembered(clock)

    async def caller(self, request: web.Request) -> Caller:
        """Who sent ``request``. Raises ``Unauthenticated``, ``Denied``, ``KubeError``."""
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        if request.transport and certificate:
            if not self._believed(request.transport.get_extra_info("ssl_object")):
                request.protocol.close()
                raise Unauthenticated("The front proxy's authority is another than when you connected: connect again")
            return self._behind_proxy(request, common_name(certificate))
        authorization = request.headers.get("Authorization", "")
        if not authorization.lower().startswith(_BEARER):
            raise Unauthenticated(
                "Nobody knows who asks: come through the API server (kubectl, bmctl), or show a bearer token of its"
            )
        if any(name.lower().startswith(_IMPERSONATION) for name in request.headers):
            raise Denied("Impersonation is the API server's to grant: send this request to it, and not past it")
        return await self._of_token(authorization[len(_BEARER) :].strip())

    def _behind_proxy(self, request: web.Request, name: str) -> Caller:
        proxy = self._front_proxy()
        if proxy is None:
            raise Unauthenticated("The front proxy's configuration is not read yet: try again in a moment")
        if not proxy.allows(name):
            allowed = ", ".join(proxy.allowed_names)
            raise Unauthenticated(f"The certificate of {name!r} is not the front proxy's, which is called {allowed}")
        return _named(request, proxy)

    async def _of_token(self, token: str) -> Caller:
        key = hashlib.sha256(token.encode()).hexdigest()
        known = self._tokens.get(key)
        if known is None:
            answer = await self._client.review(TOKENREVIEW, {"token": token}, subject="a bearer token")
            known = Token(_user(answer.get("status", {})))
            self._tokens.put(key, known, REMEMBERED_S)
        if known.caller is None:
            raise Unauthenticated("The bearer token is not one of this cluster's, or has expired: get a new one")
        return known.caller


def common_name(certificate: dict[str, Any]) -> str:
    """The common name in what ``ssl.SSLSocket.getpeercert`` says of a certificate."""
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return names[0] if names else ""


def _named(request: web.Request, proxy: FrontProxy) -> Caller:
    user = next((request.headers[name] for name in proxy.username_headers if request.headers.get(name)), None)
    if user is None:
        raise Unauthenticated(f"The front proxy named nobody in {', '.join(proxy.username_headers)}")
    uid = next((request.headers[name] for name in proxy.uid_headers if request.headers.get(name)), "")
    groups = [value for name in proxy.group_headers for value in request.headers.getall(name, ())]
    return Caller(user, tuple(groups), uid, _extra(request, proxy.extra_prefixes))


def _extra(request: web.Request, prefixes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Keys come in lower case and percent-encoded (k8s.io/apiserver, headerrequest)."""
    extra: dict[str, tuple[str, ...]] = {}
    for prefix in prefixes:
        for name in request.headers:
            if name.lower().startswith(prefix.lower()):
                key = unquote(name[len(prefix) :].lower())
                extra[key] = tuple(request.headers.getall(name))
    return extra


def _user(status: dict[str, Any]) -> Caller | None:
    user = status.get("user", {})
    if not status.get("authenticated") or not user.get("username"):
        return None
    groups = tuple(user.get("groups") or ())
    extra = {key: tuple(values) for key, values in (user.get("extra") or {}).items()}
    return Caller(user["username"], groups or (_ANYBODY,), user.get("uid", ""), extra)
