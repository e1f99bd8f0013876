"""What ``kubectl get`` prints for each kind. Managed resources have Crossplane's columns with ours between them."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def column(name: str, json_path: str, type_: str = "string", *, wide: bool = False) -> Json:
    """One entry of ``additionalPrinterColumns``; a ``wide`` one shows with ``-o wide`` only."""
    entry: Json = {"name": name, "type": type_, "jsonPath": json_path}
    return entry | {"priority": 1} if wide else entry


def condition_column(name: str, type_: str) -> Json:
    """A column with the status of one condition."""
    return column(name, f".status.conditions[?(@.type=='{type_}')].status")


AGE = column("AGE", ".metadata.creationTimestamp", "date")
READY = condition_column("READY", "Ready")
SYNCED = condition_column("SYNCED", "Synced")
EXTERNAL_NAME = column("EXTERNAL-NAME", r".metadata.annotations.crossplane\.io/external-name")


def _managed(*own: Json) -> list[Json]:
    return [READY, SYNCED, *own, EXTERNAL_NAME, AGE]


MACHINE = [
    column("STATUS", ".status.printableStatus"),
    column("SERVER", ".status.serverName"),
    column("IP", ".status.addresses[0]"),
]
"""The machine's own columns; Crossplane's follow (see ``xrd``)."""

COLUMNS: Mapping[str, list[Json]] = {
    "ServerClaim": _managed(column("SERVER", ".status.atProvider.serverName")),
    "Volume": _managed(
        column("SIZE", ".spec.forProvider.size"),
        column("IMAGE", ".spec.forProvider.image"),
        column("PHASE", ".status.atProvider.phase"),
    ),
    "VirtualDisk": _managed(
        column("SERVER", ".status.atProvider.serverName"),
        column("SLOT", ".spec.forProvider.slot", "integer"),
    ),
    "VirtualNIC": _managed(
        column("SERVER", ".status.atProvider.serverName"),
        column("NETWORK", ".spec.forProvider.network"),
        column("ADDRESS", ".status.atProvider.addresses[0]"),
        column("ANSWERS", ".status.atProvider.reachability.state"),
    ),
    "PowerState": _managed(
        column("SERVER", ".status.atProvider.serverName"),
        column("DESIRED", ".spec.forProvider.state"),
        column("POWER", ".status.atProvider.state"),
    ),
    "Server": [
        column("DPU", ".spec.dpu.name"),
        column("CPUS", ".spec.capacity.cpus", "integer"),
        column("MEMORY", ".spec.capacity.memory"),
        column("NAMESPACE", ".spec.claimRef.namespace"),
        column("CLAIM", ".spec.claimRef.name"),
        column("BMC", ".spec.bmc.address", wide=True),
        AGE,
    ],
    "InstanceType": [column("CPUS", ".spec.cpus", "integer"), column("MEMORY", ".spec.memory"), AGE],
    "Network": [column("VLAN", ".spec.vlan", "integer"), column("SUBNET", ".spec.subnet"), AGE],
    "MachineImage": [
        column("BYTES", ".spec.sizeBytes", "integer"),
        column("SHA256", ".spec.sha256", wide=True),
        AGE,
    ],
    "ClusterProviderConfig": [column("STORAGECLASS", ".spec.storageClassName"), AGE],
    "EmulatedDisk": [
        READY,
        column("MACHINE", ".spec.machineRef.name"),
        column("SLOT", ".spec.slot", "integer"),
        column("BDEV", ".status.bdev"),
        column("SERIAL", ".status.serial", wide=True),
        AGE,
    ],
    "EmulatedNIC": [
        READY,
        column("MACHINE", ".spec.machineRef.name"),
        column("REPRESENTOR", ".spec.representor"),
        column("ANSWERS", ".status.reachability.state"),
        AGE,
    ],
    "OrphanReport": [column("ORPHANS", ".status.orphans[*].name"), AGE],
}
