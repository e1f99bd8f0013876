"""What each identity may do with the Kubernetes API, as RBAC rules. The Helm chart and the sandbox grant these alone.

A rule stands here because some line of the code needs it: a kind that is watched is read; server-side apply needs
``patch``, and ``create`` where the object may be new. Whoever adds a request adds its right, and an end-to-end run that
lacks one fails.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from provider.api import GROUP
from provider.api.names import AGENT_LEASE, PROVIDER_LEASE
from provider.api.resources import (
    BAREMETALMACHINE,
    CLUSTERPROVIDERCONFIG,
    CSINODE,
    CUSTOMRESOURCEDEFINITION,
    EMULATEDDISK,
    EMULATEDNIC,
    EVENT,
    INSTANCETYPE,
    LEASE,
    MACHINEIMAGE,
    NAMESPACE,
    NETWORK,
    NODE,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    POWERSTATE,
    SECRET,
    SERVER,
    SERVERCLAIM,
    STORAGECLASS,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    VOLUMEATTACHMENT,
    ResourceType,
)

Rule = dict[str, Any]

_READ = ("get", "list", "watch")
_MANAGED = (SERVERCLAIM, VOLUME, VIRTUALDISK, VIRTUALNIC, POWERSTATE)
_EMULATED = (EMULATEDDISK, EMULATEDNIC)


def provider() -> list[Rule]:
    """In all namespaces, whoever composes the machines."""
    return [
        _rule(_READ, BAREMETALMACHINE, INSTANCETYPE, NETWORK, CLUSTERPROVIDERCONFIG),
        # An image is held by a finalizer as long as a driver has a snapshot of it.
        _rule((*_READ, "patch"), SERVER, MACHINEIMAGE, *_MANAGED),
        _rule(("patch",), *_MANAGED, subresource="status"),
        _rule((*_READ, "create", "patch", "delete"), *_EMULATED),
        _rule((*_READ, "create", "patch", "delete"), PERSISTENTVOLUMECLAIM, PERSISTENTVOLUME),
        _rule(("patch",), PERSISTENTVOLUMECLAIM, subresource="status"),
        _rule(_READ, STORAGECLASS),
        _rule((*_READ, "create", "patch", "delete"), VOLUMEATTACHMENT),
        _rule(("patch",), VOLUMEATTACHMENT, subresource="status"),
        _rule((*_READ, "create", "patch"), CSINODE),
        _rule(_READ, NAMESPACE, NODE),
        # User data is in its tenant's namespace, and a Secret is read only where an object beside it names it.
        _rule(("get",), SECRET),
        # It sees by the agents' Leases which of them live. They are renewed too often to be watched.
        _rule(("get", "list"), LEASE),
        _rule(("create",), EVENT),
    ]


def engine() -> list[Rule]:
    """What a provider needs beside that to compose machines itself."""
    return [
        _rule(("patch",), BAREMETALMACHINE),
        _rule(("patch",), BAREMETALMACHINE, subresource="status"),
        _rule(("create", "delete"), *_MANAGED),
        _rule(("get",), CUSTOMRESOURCEDEFINITION) | {"resourceNames": [f"{BAREMETALMACHINE.plural}.{GROUP}"]},
    ]


def provider_at_home() -> list[Rule]:
    """In the installation namespace: its own Lease, which has no name yet when it is made."""
    return [_rule(("create",), LEASE), _rule(("update",), LEASE) | {"resourceNames": [PROVIDER_LEASE]}]


def provider_at_dpu() -> list[Rule]:
    """In a DPU's namespace: the seeds that are projected there. No other Secret is the provider's to write."""
    return [_rule(("create", "patch", "delete"), SECRET)]


def agent() -> list[Rule]:
    """In the namespace of its own DPU, and nowhere else."""
    return [
        _rule(_READ, *_EMULATED),
        _rule(("patch",), *_EMULATED, subresource="status"),
        _rule(_READ, SECRET),
        _rule(("create", "patch"), LEASE) | {"resourceNames": [AGENT_LEASE]},
        _rule(("create",), EVENT),
    ]


def tenant_edit() -> list[Rule]:
    """For those who may edit a namespace: its machines. What a machine is made of is ours to write."""
    return [_rule(("create", "update", "patch", "delete", "deletecollection"), BAREMETALMACHINE)]


def tenant_view() -> list[Rule]:
    """For those who may view a namespace."""
    return [_rule(_READ, BAREMETALMACHINE, *_MANAGED)]


def table() -> dict[str, list[Rule]]:
    """All rules by who has them where, as the chart reads them."""
    return {
        "provider": provider(),
        "engine": engine(),
        "providerAtHome": provider_at_home(),
        "providerAtDpu": provider_at_dpu(),
        "agent": agent(),
        "tenantEdit": tenant_edit(),
        "tenantView": tenant_view(),
    }


def permissions(rules: Sequence[Rule]) -> set[tuple[str, str, str, str]]:
    """Each single permission: verb, group, resource, and the name that it is bound to (empty: any)."""
    return set(_singly(rules))


def _singly(rules: Sequence[Rule]) -> Iterator[tuple[str, str, str, str]]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [""]):
                        yield verb, group, resource, name


def _rule(verbs: Sequence[str], *kinds: ResourceType, subresource: str = "") -> Rule:
    groups = list(dict.fromkeys(kind.group for kind in kinds))
    if len(groups) != 1:
        raise ValueError(f"one rule for the groups {groups} would grant more than each of its kinds needs")
    resources = [f"{kind.plural}/{subresource}" if subresource else kind.plural for kind in kinds]
    return {"apiGroups": groups, "resources": resources, "verbs": list(verbs)}
