"""What a kind is called."""

from typing import Any

from provider.api.registry import ApiKind

Json = dict[str, Any]


def kind_names(kind: ApiKind) -> Json:
    """``spec.names`` of a CRD or XRD: what a kind is called in URLs, manifests and on the command line."""
    resource = kind.resource
    entry: Json = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "categories": list(kind.categories),
    }
    return entry | {"shortNames": list(kind.short_names)} if kind.short_names else entry
