"""The HTTP server: the table of routes as aiohttp handlers, and the paths beside it (discovery, OpenAPI, health).

Each request is authenticated, authorised, read, answered and logged here, in this order, and every failure becomes a
``metav1.Status``: nothing of a stack trace reaches a caller.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from provider.api.subresources import API_VERSION, GROUP
from provider.apiserver import discovery, openapi
from provider.apiserver.authentication import Authentication
from provider.apiserver.authorization import Authorization
from provider.apiserver.caller import Caller
from provider.apiserver.errors import (
    ApiError,
    BadRequest,
    Broken,
    Cause,
    InvalidOptions,
    Missing,
    TooLarge,
    WrongContent,
    WrongMethod,
    from_kube,
)
from provider.apiserver.options import Options, Result
from provider.apiserver.routes import PREFIX, ROUTES, Route
from provider.runtime.errors import KubeError

Json = dict[str, Any]

_LARGEST_BODY = 64 * 1024
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered: by whom, for what, with which options."""

    request: web.Request
    route: Route
    caller: Caller
    namespace: str | None
    name: str
    options: Options | None
    dry_run: bool


Answer = Callable[[Call], Awaitable[web.StreamResponse | Result]]


def application(
    answers: Mapping[tuple[str, str, str], Answer],
    authentication: Authentication,
    authorization: Authorization,
    ready: Callable[[], str],
) -> web.Application:
    """``answers``: by method, resource and sub-resource, for each route. ``ready``: why it is not yet, or nothing."""
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_statuses])
    for route in ROUTES:
        served = _Served(route, answers[route.method, route.resource, route.subresource], authentication, authorization)
        app.router.add_route(route.method, route.path, served.handle)
    _describe(app, authentication)
    _health(app, ready)
    return app


class _Served:
    def __init__(
        self, route: Route, answer: Answer, authentication: Authentication, authorization: Authorization
    ) -> None:
        self._route = route
        self._answer = answer
        self._authentication = authentication
        self._authorization = authorization

    async def handle(self, request: web.Request) -> web.StreamResponse:
        route, began = self._route, time.monotonic()
        caller = await self._authentication.caller(request)
        namespace, name = request.match_info.get("namespace"), request.match_info["name"]
        await self._authorization.require(caller, route, namespace, name)
        options = await _options(request, route.options) if route.options is not None else None
        dry_run = _dry_run(request, options)
        answer = await self._answer(Call(request, route, caller, namespace, name, options, dry_run))
        took_ms = 1000 * (time.monotonic() - began)
        _LOG.info(
            "%s %s/%s of=%s by=%s dry_run=%s ms=%.0f",
            route.method,
            route.resource,
            route.subresource,
            f"{namespace}/{name}" if namespace else name,
            caller.name,
            dry_run,
            took_ms,
        )
        return web.json_response(answer.to_json()) if isinstance(answer, Result) else answer


async def _options(request: web.Request, model: type[Options]) -> Options:
    body = await request.read()
    # `kubectl create --raw` names no type.
    if body and "Content-Type" in request.headers and request.content_type != "application/json":
        raise WrongContent(f"{request.content_type} is not read here: send {model.__name__} as application/json")
    try:
        document = json.loads(body) if body.strip() else {}
    except ValueError as error:
        raise BadRequest(f"The body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadRequest(f"The body must be an object: {model.__name__}")
    for field, expected in (("kind", model.__name__), ("apiVersion", API_VERSION)):
        if document.get(field) not in (None, "", expected):
            raise BadRequest(f"{field} is {document[field]!r}, where {expected} is read")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        causes = [Cause(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
        told = "; ".join(f"{cause.field}: {cause.message}" for cause in causes)
        raise InvalidOptions(f"{model.__name__} is invalid: {told}", causes=causes) from error


def _dry_run(request: web.Request, options: Options | None) -> bool:
    values = request.query.getall("dryRun", [])
    if any(value != "All" for value in values):
        cause = Cause("dryRun", "must be All", "FieldValueNotSupported")
        raise InvalidOptions(f"dryRun is {', '.join(values)}: write All", causes=[cause])
    return bool(values) or bool(options and options.dry_run)


@web.middleware
async def _statuses(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _refused(request, error)
    except KubeError as error:
        return _refused(request, from_kube(error))
    except web.HTTPRequestEntityTooLarge:
        return _refused(request, TooLarge(f"The body is longer than {_LARGEST_BODY} bytes"))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return _refused(request, WrongMethod(f"{request.method} is not served at {request.path}: use {allowed}"))
    except web.HTTPNotFound:
        return _refused(request, Missing(f"the server could not find the requested resource {request.path}"))
    except web.HTTPException:
        raise
    except Exception:
        _LOG.exception("request failed method=%s path=%s", request.method, request.path)
        return _refused(request, Broken("Something is wrong in bm-api: its log says what; try again"))


def _refused(request: web.Request, error: ApiError) -> web.Response:
    _LOG.info("refused %s %s code=%d message=%s", request.method, request.path, error.code, error.message)
    return web.json_response(error.status(), status=error.code)


def _describe(app: web.Application, authentication: Authentication) -> None:
    def serve(path: str, document: Callable[[web.Request], web.Response]) -> None:
        async def handler(request: web.Request) -> web.Response:
            await authentication.caller(request)
            return document(request)

        app.router.add_get(path, handler)

    serve("/apis", _groups)
    serve(f"/apis/{GROUP}", lambda _: web.json_response(discovery.group()))
    serve(PREFIX, lambda _: web.json_response(discovery.resources()))
    serve("/openapi/v2", lambda _: web.json_response(openapi.v2()))
    serve("/openapi/v3", lambda _: web.json_response(openapi.v3_index()))
    serve(f"/openapi/v3/{openapi.V3_PATH}", lambda _: web.json_response(openapi.v3()))


def _groups(request: web.Request) -> web.Response:
    if discovery.wants_aggregated(request.headers.get("Accept", "")):
        headers = {"Content-Type": discovery.AGGREGATED}
        return web.Response(body=json.dumps(discovery.aggregated()).encode(), headers=headers)
    return web.json_response(discovery.groups())


def _health(app: web.Application, ready: Callable[[], str]) -> None:
    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readiness(_: web.Request) -> web.Response:
        why_not = ready()
        return web.Response(text=why_not or "ok", status=503 if why_not else 200)

    for path in ("/healthz", "/livez"):
        app.router.add_get(path, alive)
    app.router.add_get("/readyz", readiness)
