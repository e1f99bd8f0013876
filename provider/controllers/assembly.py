"""Puts the controllers together: one of each, over what they share."""

from collections.abc import Mapping, Sequence

from provider.api.names import AGENT_LEASE, INSTALLATION_NAMESPACE
from provider.api.registry import LEASE, ResourceType
from provider.controllers.agents import AgentLiveness, Agents
from provider.controllers.inventory import Inventory
from provider.controllers.managed import ManagedController
from provider.controllers.powerreading import BMCFactory, PowerReadings
from provider.controllers.powerstate import PowerStateKind
from provider.controllers.serverclaim import ServerClaimKind
from provider.controllers.surroundings import Surroundings
from provider.controllers.virtualdisk import VirtualDiskKind
from provider.controllers.virtualnic import VirtualNICKind
from provider.controllers.volume import VolumeKind
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller

FIELD_SELECTORS: Mapping[ResourceType, str] = {LEASE: f"metadata.name={AGENT_LEASE}"}
"""What the shell should narrow its watches to: other Leases are renewed all the time and concern nobody here."""


def build(
    runtime: Runtime,
    *,
    bmc: BMCFactory,
    drivers: Sequence[str] = (),
    installation_namespace: str = INSTALLATION_NAMESPACE,
) -> Sequence[Controller]:
    """All controllers of this package. ``drivers``: names of the CSI drivers that DPUs are registered with."""
    inventory = Inventory(runtime.cache)
    surroundings = Surroundings(runtime.cache, inventory)
    agents = Agents(runtime)
    readings = PowerReadings(runtime.client, bmc, installation_namespace)
    return [
        ManagedController(runtime, ServerClaimKind(runtime, inventory, surroundings, readings)),
        ManagedController(runtime, VolumeKind(runtime, surroundings)),
        ManagedController(runtime, VirtualDiskKind(runtime, surroundings, agents)),
        ManagedController(runtime, VirtualNICKind(runtime, surroundings, agents)),
        ManagedController(runtime, PowerStateKind(runtime, surroundings, agents, readings)),
        AgentLiveness(runtime, agents, drivers),
    ]
