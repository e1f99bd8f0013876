"""What objects are found by beside their names, so that a thousand machines make no reconcile dearer."""

from collections.abc import Iterable

from provider.api.resources import EMULATEDDISK, EMULATEDNIC, SERVER, SERVERCLAIM, VIRTUALDISK, VIRTUALNIC, VOLUME
from provider.api.volume import Volume
from provider.planning.volume import claim_name
from provider.runtime.cache import Index
from provider.runtime.controller import Json

FREE = ""
"""In place of a UID that is not there."""


def identity(network: str, what: str) -> str:
    """An address (without its prefix length) or a MAC on a network."""
    return f"{network} {what.split('/')[0].lower()}"


def on_network(network: str) -> str:
    """Everything on a network."""
    return f"{network} *"


def of_namespace(namespace: str | None, name: str) -> str:
    """A name in a namespace."""
    return f"{namespace}/{name}"


def _claim_of_server(server: Json) -> Iterable[str]:
    return [(server["spec"].get("claimRef") or {}).get("uid") or FREE]


def _dpu_of_server(server: Json) -> Iterable[str]:
    return [server["spec"]["dpu"]["name"]]


def _server_of_claim(claim: Json) -> Iterable[str]:
    return [claim.get("status", {}).get("atProvider", {}).get("serverUID") or FREE]


def _claim_of_device(device: Json) -> Iterable[str]:
    return [device["spec"].get("claimUID", FREE)]


def _identities_of_device(device: Json) -> Iterable[str]:
    spec, network = device["spec"], device["spec"]["network"]["name"]
    return {on_network(network), *(identity(network, each) for each in (*spec.get("addresses", ()), spec["mac"]))}


def _identities_asked(nic: Json) -> Iterable[str]:
    parameters = nic["spec"]["forProvider"]
    asked = (parameters.get("address"), parameters.get("macAddress"))
    network = parameters.get("network", "")
    return {on_network(network), *(identity(network, each) for each in asked if each)}


def _name(device: Json) -> Iterable[str]:
    return [device["metadata"]["name"]]


def _dpu_of_device(device: Json) -> Iterable[str]:
    name = device.get("status", {}).get("atProvider", {}).get("dpuName")
    return [name] if name else []


def _volume_of_disk(disk: Json) -> Iterable[str]:
    reference = disk["spec"]["forProvider"].get("volumeRef")
    return [of_namespace(disk["metadata"]["namespace"], reference["name"])] if reference else []


def _claim_of_volume(volume: Json) -> Iterable[str]:
    return [of_namespace(volume["metadata"]["namespace"], claim_name(Volume.parse(volume)))]


SERVERS_BY_CLAIM = Index(SERVER, _claim_of_server)
"""UID of the ServerClaim that holds it; ``FREE`` where none does."""

SERVERS_BY_DPU = Index(SERVER, _dpu_of_server)
CLAIMS_BY_SERVER = Index(SERVERCLAIM, _server_of_claim)
"""UID of the server that it is bound to; ``FREE`` where it is to none."""

DISK_DEVICES_BY_CLAIM = Index(EMULATEDDISK, _claim_of_device)
NIC_DEVICES_BY_CLAIM = Index(EMULATEDNIC, _claim_of_device)
"""UID of the ServerClaim that a device was made under."""

NIC_DEVICES_BY_IDENTITY = Index(EMULATEDNIC, _identities_of_device)
NICS_BY_IDENTITY = Index(VIRTUALNIC, _identities_asked)
"""``identity`` and ``on_network``: what devices have, and what NICs ask for."""

DEVICES_BY_NAME = Index(EMULATEDNIC, _name)
"""Whatever DPU it is on."""

DISKS_BY_DPU = Index(VIRTUALDISK, _dpu_of_device)
NICS_BY_DPU = Index(VIRTUALNIC, _dpu_of_device)
DISKS_BY_VOLUME = Index(VIRTUALDISK, _volume_of_disk)
VOLUMES_BY_CLAIM = Index(VOLUME, _claim_of_volume)
"""``of_namespace`` with the name of a Volume, of a PersistentVolumeClaim."""
