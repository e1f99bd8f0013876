"""Labels, annotations, finalizers, and the names that are derived from an owner's UID.

A derived name is how a crash between "created" and "recorded" is found again and adopted: whoever repeats the step
computes the same name. Nothing here may ever depend on time or chance.
"""

import hashlib

GROUP_PREFIX = "metalplane.io"

LABEL_MACHINE_UID = f"{GROUP_PREFIX}/machine-uid"
LABEL_DISK = f"{GROUP_PREFIX}/disk"
LABEL_NIC = f"{GROUP_PREFIX}/nic"
LABEL_RUN = f"{GROUP_PREFIX}/run"
LABEL_COMPOSITE = "crossplane.io/composite"

ANNOTATION_IMAGE_DIGEST = f"{GROUP_PREFIX}/image-digest"
ANNOTATION_IMAGE_SNAPSHOTS = f"{GROUP_PREFIX}/image-snapshots"
ANNOTATION_NODE_ID = f"{GROUP_PREFIX}/node-id"
ANNOTATION_VIRTUAL_DISK = f"{GROUP_PREFIX}/virtual-disk-uid"
ANNOTATION_PROVISIONING_ERROR = f"{GROUP_PREFIX}/provisioning-error"
ANNOTATION_FINISHED_POWER_REQUEST = f"{GROUP_PREFIX}/finished-power-request"
ANNOTATION_RUN = f"{GROUP_PREFIX}/run"
ANNOTATION_EPHEMERAL_DEVICES = f"{GROUP_PREFIX}/ephemeral-devices"
ANNOTATION_AGENT_VERSION = f"{GROUP_PREFIX}/agent-version"
ANNOTATION_EXTERNAL_NAME = "crossplane.io/external-name"
ANNOTATION_PAUSED = "crossplane.io/paused"
ANNOTATION_RECONCILE_REQUESTED_AT = "crossplane.io/reconcile-requested-at"
ANNOTATION_RESOURCE_NAME = "crossplane.io/composition-resource-name"
ANNOTATION_STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"

MANIFEST_INVENTORY = f"{GROUP_PREFIX}/inventory"
INVENTORY_EXCLUSIVE = "exclusive"
"""In the manifest of a CSI driver's GetPluginInfo: all of its volumes are of the one cluster that calls it."""

FINALIZER_MANAGED = "finalizer.managedresource.crossplane.io"
FINALIZER_COMPOSITE = "composite.apiextensions.crossplane.io"
FINALIZER_EMULATION = f"{GROUP_PREFIX}/emulation"
FINALIZER_IN_USE = f"{GROUP_PREFIX}/in-use"
FINALIZER_CSI = f"{GROUP_PREFIX}/csi"

INSTALLATION_NAMESPACE = "metalplane-system"
DPU_NAMESPACE_PREFIX = "metalplane-dpu-"
DPU_USER_PREFIX = "metalplane:dpu:"
AGENT_LEASE = "agent"
ORPHAN_REPORT = "orphans"
PROVIDER_LEASE = "metalplane-provider"


def dpu_user(dpu_name: str) -> str:
    """The user that the agent of a DPU authenticates as."""
    return DPU_USER_PREFIX + dpu_name


def dpu_namespace(dpu_name: str) -> str:
    """The namespace in which one DPU finds its work, and the only one that it may read."""
    return DPU_NAMESPACE_PREFIX + dpu_name


def child_name(composite: str, owner_uid: str, resource_name: str) -> str:
    """Name of a composed resource: ``<composite>-`` + 12 hex of sha256(owner UID + resource name), cut to 63.

    Crossplane's rule (internal/names in core 2.3), so that both engines name the same children.
    """
    suffix = hashlib.sha256((owner_uid + resource_name).encode()).hexdigest()[:12]
    return f"{composite[: 63 - len(suffix) - 1]}-{suffix}"


def volume_attachment(pv_uid: str) -> str:
    """Name of the VolumeAttachment of a PV. There is no node in it: *creating* the object is the exclusive claim."""
    return "mp-" + hashlib.sha256(pv_uid.encode()).hexdigest()


def emulated_disk(virtual_disk_uid: str) -> str:
    """Name of the EmulatedDisk that realises a VirtualDisk."""
    return f"disk-{virtual_disk_uid}"


def emulated_nic(virtual_nic_uid: str) -> str:
    """Name of the EmulatedNIC that realises a VirtualNIC."""
    return f"nic-{virtual_nic_uid}"


def seed_secret(virtual_disk_uid: str) -> str:
    """Name of the Secret, in the DPU's namespace, that holds a rendered NoCloud seed."""
    return f"seed-{virtual_disk_uid}"


def persistent_volume_claim(volume_uid: str) -> str:
    """Name of the PVC behind a Volume whose external-name nobody set."""
    return f"vol-{volume_uid}"


def mac_address(owner_uid: str, nic: str) -> str:
    """A stable MAC for a NIC without one: locally administered, unicast (IEEE 802: bits 0x02 set, 0x01 clear).

    From its owner's UID and its name, for a machine knows its NICs by their MACs: one that was deleted by hand and made
    anew must be the one that the operating system was set up for.
    """
    digest = hashlib.sha256(f"{owner_uid}/{nic}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))
