"""EmulatedNIC: a port of the bridge shown to the server as a PCIe NIC, and whether the machine answers on it."""

from collections.abc import Callable

from dpu_handler.controllers.device import LOOK_AGAIN, Device, Fact
from dpu_handler.execution.dpu import Dpu
from dpu_handler.execution.observation import observe_nics
from dpu_handler.planning import nic as planning
from dpu_handler.planning.nic import NIC
from dpu_handler.planning.observed import Observed
from dpu_handler.probe.prober import ARPProber, Prober, Target
from dpu_handler.southbound import SouthboundError
from provider.api.conditions import PLUGGED, READY, REMOVED
from provider.api.emulatednic import EmulatedNIC, EmulatedNICStatus, Reachability
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDNIC
from provider.runtime.attribution import trace_of
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, Settled, Watch


class EmulatedNICController:
    """Reconciles the NICs of one DPU."""

    name = "emulatednic"
    resource = EMULATEDNIC
    workers = 4
    watches: tuple[Watch, ...] = ()

    def __init__(
        self, runtime: Runtime, dpu: Dpu, probe: Callable[[Dpu, Callable[[str], None]], Prober] = ARPProber
    ) -> None:
        self._runtime = runtime
        self._dpu = dpu
        self._device: Device[EmulatedNICStatus] = Device(runtime, EMULATEDNIC, dpu)
        self.prober = probe(dpu, self._reachability_changed)

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one NIC to what it should be, and report."""
        raw = self._runtime.cache.get(EMULATEDNIC, key)
        # Also of the same name under another UID: one that went without its removal is watched no more.
        present = self._runtime.cache.list(EMULATEDNIC, key.namespace)
        self.prober.keep_only({each["metadata"]["uid"] for each in present})
        if raw is None:
            await self.prober.close_left()
            settled = self._device.settled(key.name)
            return LOOK_AGAIN if self.prober.has_left else settled
        obj = EmulatedNIC.parse(raw)
        nic = NIC(
            owner=obj.metadata.uid,
            slot=obj.spec.nic_slot,
            representor=obj.spec.representor,
            mac=obj.spec.mac.lower(),
            vlan=obj.spec.network.vlan,
            mtu=obj.spec.network.mtu,
        )
        try:
            return await self._remove(obj, raw, nic) if obj.metadata.deleting else await self._make(obj, raw, nic)
        except SouthboundError as error:
            facts = [Fact(READY, "Unknown", Reason.UNAVAILABLE, str(error))]
            await self._device.report(obj, raw, obj.status, facts)
            return LOOK_AGAIN

    async def _make(self, obj: EmulatedNIC, raw: Json, nic: NIC) -> Outcome:
        seen = await observe_nics(self._dpu)
        plan = planning.plan(nic, seen)
        problem = ""
        if plan:
            problem = await self._device.carry_out(raw, plan)
            seen = await observe_nics(self._dpu)
        function = seen.functions.get(nic.slot)
        plugged = function is not None and function.backing == nic.representor and not function.unplugging
        ready = plugged and not planning.plan(nic, seen)
        facts = [
            Fact(PLUGGED, "True", Reason.AVAILABLE) if plugged else Fact(PLUGGED, "False", Reason.CREATING, problem),
            Fact(READY, "True", Reason.AVAILABLE) if ready else Fact(READY, "False", Reason.CREATING, problem),
        ]
        await self._device.report(obj, raw, await self._status(obj, raw, nic, seen), facts)
        if not ready:
            return self._device.try_again(obj.metadata.name)
        settled = self._device.settled(obj.metadata.name)
        return LOOK_AGAIN if self.prober.has_left else settled

    async def _remove(self, obj: EmulatedNIC, raw: Json, nic: NIC) -> Outcome:
        if not self._device.awaits_removal(obj):
            return Settled()
        await self.prober.forget(nic.owner, nic.vlan)
        seen = await observe_nics(self._dpu)
        problem = await self._device.carry_out(raw, planning.undo(nic, seen, force=obj.spec.force_unplug))
        seen = await observe_nics(self._dpu)
        if planning.undo(nic, seen):
            facts = self._device.not_removed(obj, problem, held=planning.is_held(nic, seen))
            await self._device.report(obj, raw, obj.status, facts)
            return self._device.try_again(obj.metadata.name)
        facts = [Fact(REMOVED, "True", Reason.AVAILABLE), Fact(READY, "False", Reason.DELETING)]
        await self._device.report(obj, raw, EmulatedNICStatus(), facts)
        return self._device.settled(obj.metadata.name)

    async def _status(self, obj: EmulatedNIC, raw: Json, nic: NIC, seen: Observed) -> EmulatedNICStatus:
        port = seen.ports.get(nic.representor)
        link_up = port is not None and port.link_up
        return EmulatedNICStatus(
            ofport=None if port is None else port.ofport,
            link_up=link_up,
            reachability=await self._reachability(obj, raw, nic, link_up),
        )

    async def _reachability(self, obj: EmulatedNIC, raw: Json, nic: NIC, link_up: bool) -> Reachability | None:
        if not obj.spec.addresses:
            return None
        address = obj.spec.addresses[0].split("/")[0]
        await self.prober.watch(Target(nic.owner, nic.vlan, nic.mac, address), obj.status.reachability)
        if not link_up:
            self.prober.link_down(nic.owner)
        verdict = self.prober.reachability(nic.owner)
        before = obj.status.reachability
        if verdict is not None and before is not None and before.state == verdict.state:
            return before.model_copy(update={"address": verdict.address})
        self._record_wait(raw, before, verdict)
        return verdict

    def _record_wait(self, raw: Json, before: Reachability | None, verdict: Reachability | None) -> None:
        """The wait for the answer, as a span of the machine's trace."""
        trace = trace_of(raw)
        if trace is None or before is None or verdict is None or verdict.state != "Reachable":
            return
        start_ns, end_ns = (int(each.since.timestamp() * 1e6) * 1000 for each in (before, verdict))
        attributes = {"network.peer.address": verdict.address or ""}
        self._runtime.tracer.record(
            "await answer", trace=trace, start_ns=start_ns, end_ns=max(start_ns, end_ns), attributes=attributes
        )

    def _reachability_changed(self, owner: str) -> None:
        for raw in self._runtime.cache.list(EMULATEDNIC):
            if raw["metadata"]["uid"] == owner:
                self._runtime.cache.touch(EMULATEDNIC, Key.of(raw))
