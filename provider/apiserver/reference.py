"""``python -m provider.apiserver.reference [--check]``: write docs/subresources.md from the table of routes."""

import sys
from collections.abc import Iterator
from pathlib import Path

from provider.api.generation.page import refresh_page
from provider.api.generation.reference import rows
from provider.api.generation.structural import structural_schema
from provider.api.schema import ApiModel
from provider.api.subresources import API_VERSION
from provider.apiserver.routes import DRY_RUN, PREFIX, ROUTES, Route

PAGE = Path(__file__).resolve().parents[2] / "docs" / "subresources.md"
_SAME_EVERYWHERE = frozenset({"apiVersion", "kind", "metadata", "dryRun"})

_TOP = f"""\
# Sub-resources: {API_VERSION}

Generated from the table of routes in `provider/apiserver` by `python -m provider.apiserver.reference`; do not edit.

What bm-api serves through the Kubernetes API server, below `{PREFIX}`. Options are JSON, an empty body means the
defaults, and a field that is not known is refused (422). `?dryRun=All`, or `dryRun: ["All"]` in the options, has
everything checked and nothing written. A refusal is a `metav1.Status`: 400 what cannot be read, 401 nobody knows who
asks, 403 no right, 404 not there, 409 the state forbids it (or somebody else looks after that part of the spec), 422
options that make no sense, each with its field, 429 and 503 try again later. Who may do what is in
[security.md](security.md).

    echo '{{"name": "scratch", "size": "20Gi"}}' | kubectl create -f - --raw \\
      {PREFIX}/namespaces/tenant-a/baremetalmachines/bm-01/addvolume
"""


def main() -> int:
    """Run the command; returns its exit code."""
    return refresh_page("provider.apiserver.reference", PAGE, page())


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _TOP
    yield from ("| request | right | what |", "|---|---|---|")
    for route in ROUTES:
        verbs = " and ".join(f"`{verb}`" for verb in route.verbs)
        yield f"| {_request(route)} | {verbs} on `{route.resource}/{route.subresource}` | {route.about} |"
    for route in ROUTES:
        yield from _section(route)
    for model in dict.fromkeys(route.result for route in ROUTES if route.result is not None):
        yield from ("", f"## {model.__name__}", " ".join((model.__doc__ or "").split()))
        yield from _table(model)


def _section(route: Route) -> Iterator[str]:
    answer = f" Answers with [`{route.result.__name__}`](#{route.result.__name__.lower()})." if route.result else ""
    yield from ("", f"## {route.method} {route.resource}/{route.subresource}", f"{route.about}{answer}")
    parameters = [each for each in route.parameters if each is not DRY_RUN]
    if parameters:
        yield from ("", "| query | type | description |", "|---|---|---|")
        yield from (f"| `{each.name}` | {each.type} | {each.about} |" for each in parameters)
    if route.options is not None:
        yield from _table(route.options)


def _table(model: type[ApiModel]) -> Iterator[str]:
    """Its fields, without those that all have."""
    schema = structural_schema(model)
    fields = {name: field for name, field in schema["properties"].items() if name not in _SAME_EVERYWHERE}
    if not fields:
        return
    yield from ("", f"| field of {model.__name__} | type | description |", "|---|---|---|")
    for name, field in fields.items():
        yield from rows(name, field, required=name in schema.get("required", []))


def _request(route: Route) -> str:
    place = "namespaces/NAMESPACE/" if route.namespaced else ""
    path = f"{place}{route.resource}/NAME/{route.subresource}"
    return f"[{route.method} {path}](#{route.method.lower()}-{route.resource}{route.subresource})"


if __name__ == "__main__":
    sys.exit(main())
