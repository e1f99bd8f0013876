"""Puts the controllers together: one of each, over what they share."""

from collections.abc import Sequence
from dataclasses import dataclass

from provider.api.names import INSTALLATION_NAMESPACE
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
from provider.runtime.polling import Poll


@dataclass(frozen=True)
class Assembly:
    """What the shell runs: controllers, and the kinds that are polled for them."""

    controllers: Sequence[Controller]
    polls: Sequence[Poll]


def build(
    runtime: Runtime,
    *,
    bmc: BMCFactory,
    drivers: Sequence[str] = (),
    installation_namespace: str = INSTALLATION_NAMESPACE,
) -> Assembly:
    """All controllers of this package. ``drivers``: names of the CSI drivers that DPUs are registered with."""
    inventory = Inventory(runtime.cache)
    surroundings = Surroundings(runtime.cache, inventory)
    agents = Agents(runtime.cache)
    readings = PowerReadings(runtime.client, bmc, installation_namespace)
    every: Sequence[Controller] = [
        ManagedController(runtime, ServerClaimKind(runtime, inventory, surroundings, readings)),
        ManagedController(runtime, VolumeKind(runtime, surroundings)),
        ManagedController(runtime, VirtualDiskKind(runtime, surroundings, agents)),
        ManagedController(runtime, VirtualNICKind(runtime, surroundings, agents)),
        ManagedController(runtime, PowerStateKind(runtime, surroundings, agents, readings)),
        AgentLiveness(runtime, agents, drivers),
    ]
    return Assembly(every, [agents.poll])
