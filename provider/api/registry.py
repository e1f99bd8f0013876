"""Every kind of ours with its model: how it is reached, how it is modelled, and how users see it."""

from dataclasses import dataclass

from provider.api.emulateddisk import EmulatedDisk
from provider.api.emulatednic import EmulatedNIC
from provider.api.instancetype import InstanceType
from provider.api.machine import BareMetalMachine
from provider.api.machineimage import MachineImage
from provider.api.network import Network
from provider.api.orphanreport import OrphanReport
from provider.api.powerstate import PowerState
from provider.api.providerconfig import ClusterProviderConfig
from provider.api.resources import (
    BAREMETALMACHINE,
    CLUSTERPROVIDERCONFIG,
    EMULATEDDISK,
    EMULATEDNIC,
    INSTANCETYPE,
    MACHINEIMAGE,
    NETWORK,
    ORPHANREPORT,
    POWERSTATE,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    ResourceType,
)
from provider.api.schema import ApiModel
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.api.virtualdisk import VirtualDisk
from provider.api.virtualnic import VirtualNIC
from provider.api.volume import Volume


@dataclass(frozen=True, slots=True)
class ApiKind:
    """One kind of ours: how it is reached, how it is modelled, and how users see it."""

    resource: ResourceType
    model: type[ApiModel]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("metalplane",)
    has_status: bool = True


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
    ApiKind(ORPHANREPORT, OrphanReport),
)
