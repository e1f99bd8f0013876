"""What each identity may do with the Kubernetes API, as RBAC rules. The Helm chart and the sandbox grant these alone.

A rule stands here because some line of the code needs it: a kind that is watched is read; server-side apply needs
``patch``, and ``create`` where the object may be new. Whoever adds a request adds its right, and an end-to-end run that
lacks one fails.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from provider.api import GROUP, subresources
from provider.api.names import AGENT_LEASE, ORPHAN_REPORT, PROVIDER_LEASE
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
    ORPHANREPORT,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    POWERSTATE,
    SECRET,
    SERVER,
    SERVERCLAIM,
    STORAGECLASS,
    SUBJECTACCESSREVIEW,
    TOKENREVIEW,
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
        _rule(_READ, BAREMETALMACHINE, INSTANCETYPE, NETWORK, CLUSTERPROVIDERCONFIG, ORPHANREPORT),
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
    """In the installation namespace: its own Lease, which has no name yet when it is made, and what it reports."""
    return [
        _rule(("create",), LEASE),
        _rule(("update",), LEASE) | {"resourceNames": [PROVIDER_LEASE]},
        *_own_report(),
    ]


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
        _rule(_READ, ORPHANREPORT),
        *_own_report(),
        _rule(("create",), EVENT),
    ]


def api_server() -> list[Rule]:
    """In all namespaces, bm-api: it asks who its callers are and what they may, and edits what was asked for."""
    return [
        _rule((*_READ, "patch"), BAREMETALMACHINE, POWERSTATE, VIRTUALDISK, VIRTUALNIC),
        _rule(_READ, SERVER, SERVERCLAIM),
        _rule(("create",), SUBJECTACCESSREVIEW),
        _rule(("create",), TOKENREVIEW),
        _rule(("create",), EVENT),
    ]


def api_server_at_home() -> list[Rule]:
    """In the installation namespace: whose console is whose among replicas, and the BMCs' credentials.

    No name is known of a server's Lease or of a BMC's Secret, and what is created has no name yet.
    """
    return [_rule(("get", "list", "create", "update", "patch", "delete"), LEASE), _rule(("get", "create"), SECRET)]


def tenant_view() -> list[Rule]:
    """For those who may view a namespace: its machines, what these are made of, and what their consoles printed."""
    return [
        _rule(_READ, BAREMETALMACHINE, *_MANAGED),
        _subrule(("get",), subresources.MACHINE, *subresources.MACHINE_READS),
    ]


def tenant_edit() -> list[Rule]:
    """For those who may edit a namespace, beside viewing it: its machines. What these are made of is ours to write.

    A console is a websocket, which arrives as ``get``, and lets its user type: bm-api asks for ``create`` on it too.
    """
    return [
        *tenant_view(),
        _rule(("create", "update", "patch", "delete", "deletecollection"), BAREMETALMACHINE),
        _subrule(("create",), subresources.MACHINE, *subresources.MACHINE_CHANGES),
        _subrule(("get", "create"), subresources.MACHINE, subresources.CONSOLE),
    ]


def tenant_admin() -> list[Rule]:
    """For those who administer a namespace: who may edit machines may do all with them."""
    return tenant_edit()


def operator() -> list[Rule]:
    """For those who look after servers, whoever has them: power, consoles, and what is left over on DPUs and storage.

    No tenant's role has it.
    """
    sub_resources = (subresources.POWER, subresources.CONSOLE)
    return [
        _rule(_READ, SERVER, ORPHANREPORT),
        _rule(("patch",), ORPHANREPORT) | {"resourceNames": [ORPHAN_REPORT]},
        _subrule(("get", "create"), subresources.POWERED_SERVER, *sub_resources),
    ]


def table() -> dict[str, list[Rule]]:
    """All rules by who has them where, as the chart reads them."""
    return {
        "provider": provider(),
        "engine": engine(),
        "providerAtHome": provider_at_home(),
        "providerAtDpu": provider_at_dpu(),
        "agent": agent(),
        "apiServer": api_server(),
        "apiServerAtHome": api_server_at_home(),
        "tenantView": tenant_view(),
        "tenantEdit": tenant_edit(),
        "tenantAdmin": tenant_admin(),
        "operator": operator(),
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


def _own_report() -> list[Rule]:
    """Of whoever sees what no object claims: applied by name, also when it is new."""
    name = {"resourceNames": [ORPHAN_REPORT]}
    return [
        _rule(("create", "patch"), ORPHANREPORT) | name,
        _rule(("patch",), ORPHANREPORT, subresource="status") | name,
    ]


def _rule(verbs: Sequence[str], *kinds: ResourceType, subresource: str = "") -> Rule:
    groups = list(dict.fromkeys(kind.group for kind in kinds))
    if len(groups) != 1:
        raise ValueError(f"one rule for the groups {groups} would grant more than each of its kinds needs")
    resources = [f"{kind.plural}/{subresource}" if subresource else kind.plural for kind in kinds]
    return {"apiGroups": groups, "resources": resources, "verbs": list(verbs)}


def _subrule(verbs: Sequence[str], kind: ResourceType, *sub_resources: str) -> Rule:
    resources = [f"{kind.plural}/{sub_resource}" for sub_resource in sub_resources]
    return {"apiGroups": [kind.group], "resources": resources, "verbs": list(verbs)}
