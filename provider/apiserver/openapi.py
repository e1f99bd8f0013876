"""The API described, in OpenAPI v2 and v3. Derived from the table of routes and the models of its options and results.

Sources: OpenAPI 2.0 and 3.0 specifications; the extensions by which kubectl finds its way, ``x-kubernetes-action`` and
``x-kubernetes-group-version-kind`` (Kubernetes documentation, "Kubernetes API Concepts", OpenAPI).
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from provider.api.generation.structural import structural_schema
from provider.api.schema import ApiModel
from provider.api.subresources import GROUP, VERSION
from provider.apiserver.routes import PREFIX, ROUTES, Parameter, Route

Json = dict[str, Any]

_INFO = {"title": "metalplane subresources", "version": VERSION}
_TAG = GROUP.replace(".", "_") + f"_{VERSION}"
_BYTES = "application/octet-stream"
_JSON = "application/json"
V3_PATH = f"apis/{GROUP}/{VERSION}"


@cache
def v2() -> Json:
    """``/openapi/v2``."""
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": _paths(_operation_v2),
        "definitions": _schemas(),
    }


@cache
def v3() -> Json:
    """``/openapi/v3/apis/GROUP/VERSION``."""
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": _paths(_operation_v3),
        "components": {"schemas": _schemas()},
    }


def v3_index() -> Json:
    """``/openapi/v3``: what there is, with a hash by which a client knows whether it has it already."""
    digest = hashlib.sha512(json.dumps(v3(), sort_keys=True).encode()).hexdigest().upper()
    return {"paths": {V3_PATH: {"serverRelativeURL": f"/openapi/v3/{V3_PATH}?hash={digest}"}}}


def _schemas() -> Mapping[str, Json]:
    """By name; each of a kind that a client may look up by group, version and kind."""
    models = {model for route in ROUTES for model in (route.options, route.result) if model is not None}
    return {_name(model): _schema(model) for model in sorted(models, key=_name)}


def _schema(model: type[ApiModel]) -> Json:
    schema = structural_schema(model)
    kind = {"group": GROUP, "version": VERSION, "kind": model.__name__}
    return {**schema, "description": (model.__doc__ or "").strip(), "x-kubernetes-group-version-kind": [kind]}


def _name(model: type[ApiModel]) -> str:
    return f"io.metalplane.subresources.{VERSION}.{model.__name__}"


def _paths(operation: Any) -> Json:
    paths: Json = {
        f"{PREFIX}/": {"get": _discovery(operation is _operation_v3)},
    }
    for route in ROUTES:
        described = paths.setdefault(route.path, {"parameters": _place(route, v3=operation is _operation_v3)})
        described[route.method.lower()] = operation(route)
    return paths


def _discovery(is_v3: bool) -> Json:
    answer: Json = {"description": "OK"}
    entry: Json = {
        "description": "what is served",
        "operationId": "getAPIResources",
        "tags": [_TAG],
        "responses": {"200": answer},
    }
    return entry if is_v3 else {**entry, "produces": [_JSON]}


def _common(route: Route) -> Json:
    kind = {"group": GROUP, "version": VERSION, "kind": route.kind}
    action = "connect" if route.websocket else {"GET": "get", "POST": "post"}[route.method]
    scope = "Namespaced" if route.namespaced else ""
    noun = {"baremetalmachines": "BareMetalMachine", "servers": "Server"}[route.resource]
    return {
        "description": route.about,
        "operationId": f"{action}{VERSION.capitalize()}{scope}{noun}{route.subresource.capitalize()}",
        "tags": [_TAG],
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind,
    }


def _operation_v2(route: Route) -> Json:
    parameters: list[Json] = [_parameter(each, v3=False) for each in route.parameters]
    if route.options is not None:
        schema = {"$ref": f"#/definitions/{_name(route.options)}"}
        parameters.append({"name": "body", "in": "body", "schema": schema})
    answer: Json = {"description": "OK"}
    if route.result is not None:
        answer["schema"] = {"$ref": f"#/definitions/{_name(route.result)}"}
    kinds = {"consumes": [_JSON], "produces": [_JSON if route.result else _BYTES], "schemes": ["https"]}
    return {**_common(route), **kinds, "parameters": parameters, "responses": _responses(answer)}


def _operation_v3(route: Route) -> Json:
    operation = {**_common(route), "parameters": [_parameter(each, v3=True) for each in route.parameters]}
    if route.options is not None:
        schema = {"$ref": f"#/components/schemas/{_name(route.options)}"}
        operation["requestBody"] = {"content": {_JSON: {"schema": schema}}}
    answer: Json = {"description": "OK"}
    if route.result is not None:
        answer["content"] = {_JSON: {"schema": {"$ref": f"#/components/schemas/{_name(route.result)}"}}}
    return {**operation, "responses": _responses(answer)}


def _responses(answer: Json) -> Json:
    return {"200": answer, "401": {"description": "Unauthorized"}}


def _parameter(each: Parameter, *, v3: bool) -> Json:
    return _typed({"name": each.name, "in": "query", "description": each.about}, each.type, v3=v3)


def _place(route: Route, *, v3: bool) -> list[Json]:
    names = {"name": "name of the object", **({"namespace": "its namespace"} if route.namespaced else {})}
    return [
        _typed({"name": name, "in": "path", "required": True, "description": about}, "string", v3=v3)
        for name, about in names.items()
    ]


def _typed(parameter: Json, type_: str, *, v3: bool) -> Json:
    return {**parameter, "schema": {"type": type_}} if v3 else {**parameter, "type": type_}
