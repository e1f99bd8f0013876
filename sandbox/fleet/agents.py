"""The agents of many DPUs in one process: the product's controllers, heartbeats and looks, on one watch for all.

An agent on a DPU watches its own namespace as its own identity. A thousand of them on one machine would hold three
thousand watch streams, which is the API server's burden and not the control plane's: so here one identity watches all
of these namespaces, and each object goes to the controllers of its DPU.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpu_handler.controllers.drift import watch_for_drift
from dpu_handler.controllers.emulateddisk import EmulatedDiskController
from dpu_handler.controllers.emulatednic import EmulatedNICController
from dpu_handler.execution.dpu import Dpu
from dpu_handler.probe.prober import Prober
from provider.api.names import AGENT_LEASE, dpu_namespace
from provider.api.resources import EMULATEDDISK, EMULATEDNIC, ResourceType
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller, Key, Outcome, Settled, Watch
from provider.runtime.events import EventRecorder
from provider.runtime.kubeconfig import load
from provider.runtime.lease import Heartbeat, Unopposed
from provider.runtime.shell import run
from provider.runtime.together import together
from provider.runtime.tracing import make_tracer

SERVICE = "metalplane-agent"
_WORKERS = 16
_DPUS_PER_SECOND = 20
"""So many Leases are renewed, and DPUs looked at, in a second: with 1,000 of them, each every 50 seconds."""

_SHORTEST_PERIOD_S = 5.0
_LEASE_PERIODS = 3

ProbeFactory = Callable[[Dpu, Callable[[str], None]], Prober]


@dataclass(frozen=True, slots=True)
class LightDpu:
    """One DPU: its name, its clients, what its probes hear, and where its agent builds seeds."""

    name: str
    dpu: Dpu
    probe: ProbeFactory
    state_dir: Path


class _ByDpu:
    """A controller for each DPU's namespace, seen as one."""

    workers = _WORKERS

    def __init__(self, controllers: Mapping[str, Controller]) -> None:
        self._controllers = controllers
        first = next(iter(controllers.values()))
        self.name, self.resource = first.name, first.resource
        kinds = {watch.resource for watch in first.watches}
        self.watches = [Watch(kind, lambda obj, kind=kind: self._keys(kind, obj)) for kind in kinds]  # type: ignore[misc]

    async def reconcile(self, key: Key) -> Outcome:
        """As that DPU's agent does."""
        controller = self._controllers.get(key.namespace or "")
        return Settled() if controller is None else await controller.reconcile(key)

    def _keys(self, kind: ResourceType, obj: dict[str, object]) -> list[Key]:
        controller = self._controllers.get(Key.of(obj).namespace or "")
        watches: Sequence[Watch] = () if controller is None else controller.watches
        return [key for watch in watches if watch.resource == kind for key in watch.to_keys(obj)]


class Agents:
    """All of them. ``changed(name)`` tells that the DPU of that name is another than before."""

    def __init__(self, kubeconfig: Path, dpus: Sequence[LightDpu]) -> None:
        self._kubeconfig = kubeconfig
        self._dpus = dpus
        self._cache = Cache()
        self._probers: list[Prober] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        tracer = make_tracer(SERVICE, version="light", directory=None, otlp_endpoint=None)
        access = load(self._kubeconfig)
        async with KubeClient(access, tracer=tracer, on_write=self._cache.observe, user_agent=SERVICE) as client:
            events = EventRecorder(client, controller=SERVICE, instance="fleet")
            runtime = Runtime(client, self._cache, tracer, events, Unopposed())
            disks = {
                dpu_namespace(each.name): EmulatedDiskController(runtime, each.dpu, each.state_dir)
                for each in self._dpus
            }
            nics = {
                dpu_namespace(each.name): EmulatedNICController(runtime, each.dpu, each.probe) for each in self._dpus
            }
            period_s = max(_SHORTEST_PERIOD_S, len(self._dpus) / _DPUS_PER_SECOND)
            beside = {"events": events.run()}
            for number, each in enumerate(self._dpus):
                wait_s = period_s * number / len(self._dpus)
                beside[f"heartbeat {each.name}"] = self._beat(client, each.name, wait_s, period_s)
                beside[f"drift {each.name}"] = self._look(runtime, each, wait_s, period_s)
            controllers = [_ByDpu(disks), _ByDpu(nics)]
            await together(run(controllers, runtime, namespaces=None, ready=asyncio.Event(), stop=stop), beside)

    def changed(self, name: str) -> None:
        """Look again at all that is shown by that DPU."""
        namespace = dpu_namespace(name)
        for resource in (EMULATEDDISK, EMULATEDNIC):
            for obj in self._cache.list(resource, namespace) if self._cache.tracks(resource) else ():
                self._cache.touch(resource, Key.of(obj))

    async def _beat(self, client: KubeClient, name: str, wait_s: float, period_s: float) -> None:
        heartbeat = Heartbeat(
            client,
            dpu_namespace(name),
            AGENT_LEASE,
            name,
            duration_s=round(_LEASE_PERIODS * period_s),
            period_s=period_s,
        )
        await heartbeat.beat()
        await asyncio.sleep(wait_s)  # so that they do not all come at once
        await heartbeat.run()

    async def _look(self, runtime: Runtime, each: LightDpu, wait_s: float, period_s: float) -> None:
        await asyncio.sleep(wait_s)
        await watch_for_drift(each.dpu, lambda: self.changed(each.name), runtime.tracer, period_s)
