"""What the operator of this cloud has written down: servers, networks, images, storage, and who may do what.

All are ordinary objects, as an installation would hold them. Identities are as narrow as the design asks: a DPU reaches
its own namespace, the provider what its controllers touch.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from provider.api import API_VERSION, GROUP, rights, subresources
from provider.api.names import INSTALLATION_NAMESPACE, dpu_namespace, dpu_user
from sandbox.images import Image

Json = dict[str, Any]

PROVIDER_USER = "metalplane:provider"
API_USER = "metalplane:api"
DPU_GROUP = "metalplane:dpus"
CSI_DRIVER = "lvol.csi.metalplane.io"
STORAGE_CLASS = "lvol"
BMC_USER = "admin"
SLOTS = 8
NIC_SLOTS = {7: "vm0", 8: "vm1"}
"""PCIe slots for NICs, and the representor of each on the DPU."""


@dataclass(frozen=True, slots=True)
class ServerSize:
    """What a server has."""

    cpus: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class TenantNetwork:
    """A tenant, whose namespace is called as its network is."""

    name: str
    vlan: int
    subnet: str
    gateway: str


FIRST_TENANT = TenantNetwork("tenant-a", 100, "10.20.0.0/24", "10.20.0.1")
SECOND_TENANT = TenantNetwork("tenant-b", 200, "10.30.0.0/24", "10.30.0.1")

LIGHT_TENANT = TenantNetwork("tenant-a", 100, "10.20.0.0/16", "10.20.0.1")
"""With room for the machines of a thousand servers."""

FLEET_USER = "metalplane:fleet"
_FLEET_BMC = "fleet-bmc"

_SMALLEST = ServerSize(cpus=1, memory_mib=256)
_SIZES = {"debian": ServerSize(cpus=2, memory_mib=1024)}

_RBAC = "rbac.authorization.k8s.io"


def server_size(image: str) -> ServerSize:
    """What a server needs that is to boot the golden image of that name."""
    return _SIZES.get(image, _SMALLEST)


def tenants(servers: int) -> tuple[TenantNetwork, ...]:
    """A second tenant moves in where there is a second server."""
    return (FIRST_TENANT,) if servers == 1 else (FIRST_TENANT, SECOND_TENANT)


def objects(image: Image, bmcs: Sequence[tuple[int, str]]) -> list[Json]:
    """Everything that ``up`` applies, namespaces first. ``bmcs``: UDP port and password of each server's BMC."""
    residents = tenants(len(bmcs))
    return [
        *(_object("v1", "Namespace", name) for name in (INSTALLATION_NAMESPACE, *(each.name for each in residents))),
        *provider_rights(),
        *api_rights(),
        *tenant_roles(),
        *_storage(),
        *_catalogue(image, residents),
        *(
            item
            for number, (port, password) in enumerate(bmcs)
            for item in _server(number, port, password, server_size(image.name))
        ),
    ]


def light_objects(image: Image, bmc_ports: Sequence[int], bmc_password: str) -> list[Json]:
    """As ``objects``, of light servers: one identity for all agents, and one password for all BMCs."""
    namespaces = [INSTALLATION_NAMESPACE, LIGHT_TENANT.name]
    namespaces += [dpu_namespace(f"dpu{number}") for number in range(len(bmc_ports))]
    fleet = {"kind": "User", "apiGroup": _RBAC, "name": FLEET_USER}
    size = server_size(image.name)
    return [
        *(_object("v1", "Namespace", name) for name in namespaces),
        *provider_rights(),
        *api_rights(),
        *tenant_roles(),
        _role("ClusterRole", "metalplane-fleet", rights.agent()),
        _binding("ClusterRoleBinding", "ClusterRole", "metalplane-fleet", fleet),
        _role("ClusterRole", "metalplane-provider-at-dpus", rights.provider_at_dpu()),
        _binding("ClusterRoleBinding", "ClusterRole", "metalplane-provider-at-dpus", _provider_subject()),
        *_storage(),
        *_catalogue(image, (LIGHT_TENANT,)),
        _bmc_secret(_FLEET_BMC, bmc_password),
        *(_node(f"dpu{number}") for number in range(len(bmc_ports))),
        *(_server_object(number, port, _FLEET_BMC, size) for number, port in enumerate(bmc_ports)),
    ]


def _server(number: int, bmc_port: int, bmc_password: str, size: ServerSize) -> Iterator[Json]:
    server, dpu = f"server{number}", f"dpu{number}"
    yield _object("v1", "Namespace", dpu_namespace(dpu))
    yield from dpu_rights(dpu)
    yield _node(dpu)
    yield _bmc_secret(f"{server}-bmc", bmc_password)
    yield _server_object(number, bmc_port, f"{server}-bmc", size)


def _node(dpu: str) -> Json:
    return _object("v1", "Node", dpu, labels={f"{GROUP}/dpu": "true"}) | {"spec": {"unschedulable": True}}


def _bmc_secret(name: str, password: str) -> Json:
    credentials = {"username": BMC_USER, "password": password}
    return _object("v1", "Secret", name, INSTALLATION_NAMESPACE) | {
        "type": "kubernetes.io/basic-auth",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in credentials.items()},
    }


def _server_object(number: int, bmc_port: int, secret: str, size: ServerSize) -> Json:
    return _object(API_VERSION, "Server", f"server{number}") | {
        "spec": {
            "bmc": {
                "protocol": "ipmi",
                "address": "127.0.0.1",
                "port": bmc_port,
                "secretRef": {"name": secret},
            },
            "dpu": {"name": f"dpu{number}"},
            "slots": SLOTS,
            "nicSlots": [{"slot": slot, "representor": device} for slot, device in NIC_SLOTS.items()],
            "capacity": _capacity(size),
            "allowedNamespaces": ["*"],
        }
    }


def _storage() -> Iterator[Json]:
    yield _object("storage.k8s.io/v1", "CSIDriver", CSI_DRIVER) | {"spec": {"attachRequired": True}}
    yield _object("storage.k8s.io/v1", "StorageClass", STORAGE_CLASS) | {
        "provisioner": CSI_DRIVER,
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }


def _catalogue(image: Image, residents: Sequence[TenantNetwork]) -> Iterator[Json]:
    yield _object(API_VERSION, "ClusterProviderConfig", "default") | {"spec": {"storageClassName": STORAGE_CLASS}}
    yield _object(API_VERSION, "InstanceType", "small") | {"spec": _capacity(server_size(image.name))}
    for each in residents:
        spec = {"vlan": each.vlan, "subnet": each.subnet, "gateway": each.gateway, "allowedNamespaces": [each.name]}
        yield _object(API_VERSION, "Network", each.name) | {"spec": spec}
    granted = [each.name for each in residents]
    yield _object(API_VERSION, "MachineImage", image.name) | {
        "spec": {"sha256": image.sha256, "sizeBytes": image.size_bytes, "allowedNamespaces": granted}
    }


def _capacity(size: ServerSize) -> Json:
    return {"cpus": size.cpus, "memory": f"{size.memory_mib}Mi"}


def dpu_rights(dpu: str) -> Iterator[Json]:
    """Roles in a DPU's namespace, and to whom they belong."""
    namespace = dpu_namespace(dpu)
    yield _role("Role", "agent", rights.agent(), namespace)
    subject = {"kind": "User", "apiGroup": _RBAC, "name": dpu_user(dpu)}
    yield _binding("RoleBinding", "Role", "agent", subject, namespace)
    yield _role("Role", "provider", rights.provider_at_dpu(), namespace)
    yield _binding("RoleBinding", "Role", "provider", _provider_subject(), namespace)


def provider_rights() -> Iterator[Json]:
    """Roles of the provider outside the DPUs' namespaces."""
    yield _role("ClusterRole", "metalplane-provider", [*rights.provider(), *rights.engine()])
    yield _binding("ClusterRoleBinding", "ClusterRole", "metalplane-provider", _provider_subject())
    yield _role("Role", "provider", rights.provider_at_home(), INSTALLATION_NAMESPACE)
    yield _binding("RoleBinding", "Role", "provider", _provider_subject(), INSTALLATION_NAMESPACE)


def api_rights() -> Iterator[Json]:
    """Roles of bm-api, and leave to read by whose certificate the API server calls it."""
    subject = {"kind": "User", "apiGroup": _RBAC, "name": API_USER}
    yield _role("ClusterRole", "metalplane-api", rights.api_server())
    yield _binding("ClusterRoleBinding", "ClusterRole", "metalplane-api", subject)
    yield _role("Role", "api", rights.api_server_at_home(), INSTALLATION_NAMESPACE)
    yield _binding("RoleBinding", "Role", "api", subject, INSTALLATION_NAMESPACE)
    reader = "extension-apiserver-authentication-reader"
    yield _binding("RoleBinding", "Role", reader, subject, "kube-system", name="metalplane-api-authentication-reader")


def tenant_roles() -> Iterator[Json]:
    """What the cluster's view, edit and admin take in of machines; and the operators' role, which nothing takes in."""
    of_tenants = {"view": rights.tenant_view(), "edit": rights.tenant_edit(), "admin": rights.tenant_admin()}
    for name, rules in of_tenants.items():
        role = _role("ClusterRole", f"metalplane:{name}", rules)
        role["metadata"]["labels"] = {f"{_RBAC}/aggregate-to-{name}": "true"}
        yield role
    yield _role("ClusterRole", "metalplane:operator", rights.operator())


def aggregated_api(port: int, ca_pem: bytes) -> list[Json]:
    """What the API server has to know of a bm-api at 127.0.0.1:``port``; ``ca_pem``: the authority of its certificate.

    Apply it when bm-api serves, not before: until it does, every deletion of a namespace waits.
    The Service is a name for 127.0.0.1: there is no kube-proxy, and an EndpointSlice takes no loopback address.
    """
    version, group, service = subresources.VERSION, subresources.GROUP, subresources.SERVICE
    consoles = [f"{kind.plural}/{subresources.CONSOLE}" for kind in (subresources.MACHINE, subresources.POWERED_SERVER)]
    rule = {"verbs": ["get"], "apiGroups": [group], "resources": consoles, "namespaces": ["*"], "clusterScope": True}
    everybody = {"kind": "Group", "group": {"name": "system:authenticated"}}
    return [
        _object("v1", "Service", service, INSTALLATION_NAMESPACE)
        | {"spec": {"type": "ExternalName", "externalName": "127.0.0.1"}},
        _object("apiregistration.k8s.io/v1", "APIService", subresources.API_SERVICE)
        | {
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 1000,
                "versionPriority": 10,
                "service": {"name": service, "namespace": INSTALLATION_NAMESPACE, "port": port},
                "caBundle": base64.b64encode(ca_pem).decode(),
            }
        },
        # An open console is a GET that takes hours: it is not to hold a seat among requests.
        _object("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "metalplane-console")
        | {
            "spec": {
                "priorityLevelConfiguration": {"name": "exempt"},
                "matchingPrecedence": 50,
                "rules": [{"subjects": [everybody], "resourceRules": [rule]}],
            }
        },
    ]


def _provider_subject() -> Json:
    return {"kind": "User", "apiGroup": _RBAC, "name": PROVIDER_USER}


def _role(kind: str, name: str, rules: list[Json], namespace: str | None = None) -> Json:
    return _object(f"{_RBAC}/v1", kind, name, namespace) | {"rules": rules}


def _binding(
    kind: str, role_kind: str, role: str, subject: Json, namespace: str | None = None, *, name: str | None = None
) -> Json:
    return _object(f"{_RBAC}/v1", kind, name or role, namespace) | {
        "roleRef": {"apiGroup": _RBAC, "kind": role_kind, "name": role},
        "subjects": [subject],
    }


def _object(
    api_version: str, kind: str, name: str, namespace: str | None = None, *, labels: dict[str, str] | None = None
) -> Json:
    metadata: Json = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
