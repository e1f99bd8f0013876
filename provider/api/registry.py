"""Every kind that our clients read or write: ours, and the Kubernetes ones beside them."""

from dataclasses import dataclass
from urllib.parse import quote

from provider.api import GROUP, VERSION
from provider.api.emulateddisk import EmulatedDisk
from provider.api.emulatednic import EmulatedNIC
from provider.api.instancetype import InstanceType
from provider.api.machine import BareMetalMachine
from provider.api.machineimage import MachineImage
from provider.api.network import Network
from provider.api.powerstate import PowerState
from provider.api.providerconfig import ClusterProviderConfig
from provider.api.schema import ApiModel
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.api.virtualdisk import VirtualDisk
from provider.api.virtualnic import VirtualNIC
from provider.api.volume import Volume


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One resource of the Kubernetes API: what its URL and its objects' ``apiVersion`` and ``kind`` are made of."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of the collection, of one object, or of a sub-resource of it.

        Raises ``ValueError`` for what no object can be called: a tenant's ``../../neighbour/secrets/x`` is no name.
        """
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        parts += [_segment(part) for part in (name, subresource) if part is not None]
        return "/" + "/".join(parts)


def _segment(name: str) -> str:
    """One part of a path (Kubernetes: "Path segment names"), escaped."""
    if name in ("", ".", "..") or "/" in name or "%" in name:
        raise ValueError(f"{name!r} cannot be the name of an object: write one such as bm-01")
    return quote(name, safe="")


@dataclass(frozen=True, slots=True)
class ApiKind:
    """One kind of ours: how it is reached, how it is modelled, and how users see it."""

    resource: ResourceType
    model: type[ApiModel]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("metalplane",)
    has_status: bool = True


def _ours(plural: str, kind: str, *, namespaced: bool = True) -> ResourceType:
    return ResourceType(GROUP, VERSION, plural, kind, namespaced)


BAREMETALMACHINE = _ours("baremetalmachines", "BareMetalMachine")
SERVERCLAIM = _ours("serverclaims", "ServerClaim")
VOLUME = _ours("volumes", "Volume")
VIRTUALDISK = _ours("virtualdisks", "VirtualDisk")
VIRTUALNIC = _ours("virtualnics", "VirtualNIC")
POWERSTATE = _ours("powerstates", "PowerState")
SERVER = _ours("servers", "Server", namespaced=False)
INSTANCETYPE = _ours("instancetypes", "InstanceType", namespaced=False)
NETWORK = _ours("networks", "Network", namespaced=False)
MACHINEIMAGE = _ours("machineimages", "MachineImage", namespaced=False)
CLUSTERPROVIDERCONFIG = _ours("clusterproviderconfigs", "ClusterProviderConfig", namespaced=False)
EMULATEDDISK = _ours("emulateddisks", "EmulatedDisk")
EMULATEDNIC = _ours("emulatednics", "EmulatedNIC")

PERSISTENTVOLUMECLAIM = ResourceType("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True)
PERSISTENTVOLUME = ResourceType("", "v1", "persistentvolumes", "PersistentVolume", False)
STORAGECLASS = ResourceType("storage.k8s.io", "v1", "storageclasses", "StorageClass", False)
VOLUMEATTACHMENT = ResourceType("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", False)
CSIDRIVER = ResourceType("storage.k8s.io", "v1", "csidrivers", "CSIDriver", False)
CSINODE = ResourceType("storage.k8s.io", "v1", "csinodes", "CSINode", False)
NODE = ResourceType("", "v1", "nodes", "Node", False)
SECRET = ResourceType("", "v1", "secrets", "Secret", True)
NAMESPACE = ResourceType("", "v1", "namespaces", "Namespace", False)
LEASE = ResourceType("coordination.k8s.io", "v1", "leases", "Lease", True)
EVENT = ResourceType("events.k8s.io", "v1", "events", "Event", True)
CUSTOMRESOURCEDEFINITION = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)

_MANAGED = ("crossplane", "managed", "metalplane")

KINDS: tuple[ApiKind, ...] = (
    ApiKind(BAREMETALMACHINE, BareMetalMachine, ("bmm",), ("claim", "composite", "metalplane")),
    ApiKind(SERVERCLAIM, ServerClaim, (), _MANAGED),
    ApiKind(VOLUME, Volume, (), _MANAGED),
    ApiKind(VIRTUALDISK, VirtualDisk, ("vdisk",), _MANAGED),
    ApiKind(VIRTUALNIC, VirtualNIC, ("vnic",), _MANAGED),
    ApiKind(POWERSTATE, PowerState, (), _MANAGED),
    ApiKind(SERVER, Server, (), has_status=False),
    ApiKind(INSTANCETYPE, InstanceType, (), has_status=False),
    ApiKind(NETWORK, Network, (), has_status=False),
    ApiKind(MACHINEIMAGE, MachineImage, (), has_status=False),
    ApiKind(CLUSTERPROVIDERCONFIG, ClusterProviderConfig, (), has_status=False),
    ApiKind(EMULATEDDISK, EmulatedDisk),
    ApiKind(EMULATEDNIC, EmulatedNIC),
)
