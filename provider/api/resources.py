"""Where every kind that our clients read or write is found: ours, and the Kubernetes ones beside them.

No model is imported here, so that a client which only asks starts quickly; the models are in ``registry``.
"""

from dataclasses import dataclass
from urllib.parse import quote

from provider.api import GROUP, VERSION


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
ORPHANREPORT = _ours("orphanreports", "OrphanReport")

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
CONFIGMAP = ResourceType("", "v1", "configmaps", "ConfigMap", True)
TOKENREVIEW = ResourceType("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False)
SUBJECTACCESSREVIEW = ResourceType("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False)
EVENT = ResourceType("events.k8s.io", "v1", "events", "Event", True)
CUSTOMRESOURCEDEFINITION = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
