"""Which DPUs' agents are alive, told from their Leases; and the CSINode entries that the Leases stand for.

An agent that is away cannot say that its devices are well: Ready of the VirtualDisks and VirtualNICs on its DPU becomes
Unknown. Their own controllers say so (two writers of one condition would fight); this one sees to it that they look
when an agent falls silent and when it is back.
"""

from collections.abc import Callable, Sequence

from provider.api.names import AGENT_LEASE, ANNOTATION_NODE_ID, DPU_NAMESPACE_PREFIX, dpu_namespace
from provider.api.resources import CSINODE, EMULATEDDISK, EMULATEDNIC, LEASE, NODE, SERVER, VIRTUALDISK, VIRTUALNIC
from provider.controllers.indexes import DISKS_BY_DPU, NICS_BY_DPU, SERVERS_BY_DPU
from provider.controllers.routes import nobody
from provider.runtime.cache import Cache
from provider.runtime.clock import boot_time_s
from provider.runtime.context import Runtime
from provider.runtime.controller import Json, Key, Outcome, Settled, Watch
from provider.runtime.lease import LeaseFreshness
from provider.runtime.polling import Poll

_DEVICES = (VIRTUALDISK, VIRTUALNIC)
_EMULATED = (EMULATEDDISK, EMULATEDNIC)
LOOK_EVERY_S = 5.0
"""How often the Leases are looked at: once in the time in which an agent renews its own."""

_LOOK = "look at its process and its network"


class Agents:
    """Whether the agent of a DPU is away. Shared by the controllers that depend on agents.

    A Lease is judged by how long it has been *seen* unrenewed, by our own clock: wall clocks of two machines are never
    compared, and what passed while the API server did not answer counts as one look, for an agent could not renew
    then either.
    """

    def __init__(self, cache: Cache, clock: Callable[[], float] = boot_time_s) -> None:
        self._cache = cache
        self._clock = clock
        self._looked_at = float("-inf")
        self._watched_s = 0.0
        self._freshness = LeaseFreshness(lambda: self._watched_s)
        self._silent: set[str] = set()
        fields = f"metadata.name={AGENT_LEASE}"  # other Leases concern nobody here
        self.poll = Poll(LEASE, LOOK_EVERY_S, same=_means_the_same, listed=self.look, fields=fields)

    def lost(self, dpu_name: str) -> str | None:
        """Why nobody knows how the DPU's devices are; None while its agent is alive, or was never there."""
        namespace = dpu_namespace(dpu_name)
        lease = self._cache.get(LEASE, Key(namespace, AGENT_LEASE))
        if lease is None:
            return self._without_lease(dpu_name, namespace)
        if lease["metadata"]["uid"] not in self._silent:
            return None
        renewed = lease.get("spec", {}).get("renewTime", "an unknown time")
        return f"the agent of DPU {dpu_name} has not been heard of since {renewed}: {_LOOK}"

    def look(self) -> None:
        """Take note of every Lease as just listed; who fell silent or is back is announced."""
        now = self._clock()
        self._watched_s += min(now - self._looked_at, LOOK_EVERY_S)
        self._looked_at = now
        before, self._silent = self._silent, set()
        for lease in self._cache.list(LEASE):
            uid = lease["metadata"]["uid"]
            if self._freshness.remaining_s(lease) <= 0:
                self._silent.add(uid)
            if (uid in before) != (uid in self._silent):
                self._cache.touch(LEASE, Key.of(lease))

    def _without_lease(self, dpu_name: str, namespace: str) -> str | None:
        """Who has reported on a device was there, and is not known to be there still."""
        devices = [device for resource in _EMULATED for device in self._cache.list(resource, namespace)]
        if not any(device.get("status") for device in devices):
            return None
        return f"the agent of DPU {dpu_name} has no Lease {namespace}/{AGENT_LEASE} any more: {_LOOK}"


def _means_the_same(known: Json, lease: Json) -> bool:
    """Whether nothing but the renewal has changed."""
    before, after = known["metadata"], lease["metadata"]
    told = ("uid", "annotations", "deletionTimestamp")
    return all(before.get(name) == after.get(name) for name in told)


class AgentLiveness:
    """Reconciles the Leases named ``agent`` of the DPUs' namespaces."""

    name = "metalplane-agent-liveness"
    resource = LEASE
    workers = 2

    def __init__(self, runtime: Runtime, agents: Agents, drivers: Sequence[str]) -> None:
        self._runtime = runtime
        self._agents = agents
        self._drivers = sorted(drivers)
        self._known: dict[str, tuple[bool, str | None]] = {}
        self.watches: Sequence[Watch] = [
            Watch(NODE, self._lease_of_node),
            Watch(CSINODE, self._lease_of_node),
            Watch(SERVER, self._lease_of_server),
            *(Watch(resource, nobody) for resource in _DEVICES),
        ]

    async def reconcile(self, key: Key) -> Outcome:
        """Notice that one agent is lost or back."""
        if key.name != AGENT_LEASE or not (key.namespace or "").startswith(DPU_NAMESPACE_PREFIX):
            return Settled()
        lease = self._runtime.cache.get(LEASE, key)
        dpu_name = (key.namespace or "").removeprefix(DPU_NAMESPACE_PREFIX)
        if lease is not None:
            await self._register(dpu_name, lease)
        # By its UID too: a device may have been looked at while there was no Lease, and nobody told us of that.
        known = (self._agents.lost(dpu_name) is not None, lease["metadata"]["uid"] if lease else None)
        if self._known.get(dpu_name) != known:
            self._known[dpu_name] = known
            self._look_at_devices(dpu_name)
        return Settled()

    def _look_at_devices(self, dpu_name: str) -> None:
        for index in (DISKS_BY_DPU, NICS_BY_DPU):
            for device in self._runtime.cache.by(index, dpu_name):
                self._runtime.cache.touch(index.resource, Key.of(device))

    async def _register(self, dpu_name: str, lease: Json) -> None:
        """The CSINode entry of the DPU, under the Node that the cluster has for it."""
        node = self._runtime.cache.get(NODE, Key(None, dpu_name))
        node_id = lease["metadata"].get("annotations", {}).get(ANNOTATION_NODE_ID) or self._server_of(dpu_name)
        if node is None or not node_id or not self._drivers:
            return
        owner = {"apiVersion": "v1", "kind": "Node", "name": dpu_name, "uid": node["metadata"]["uid"]}
        body: Json = {
            "metadata": {"name": dpu_name, "ownerReferences": [owner]},
            "spec": {"drivers": [{"name": driver, "nodeID": node_id} for driver in self._drivers]},
        }
        current = self._runtime.cache.get(CSINODE, Key(None, dpu_name))
        await self._runtime.client.apply(CSINODE, body, field_manager=self.name, current=current)

    def _server_of(self, dpu_name: str) -> str | None:
        """UID of the server that the DPU sits in; None where the inventory does not say, or says it of two."""
        uids = [each["metadata"]["uid"] for each in self._runtime.cache.by(SERVERS_BY_DPU, dpu_name)]
        return uids[0] if len(uids) == 1 else None

    def _lease_of_server(self, server: Json) -> list[Key]:
        return [Key(dpu_namespace(_dpu(server)), AGENT_LEASE)]

    def _lease_of_node(self, node: Json) -> list[Key]:
        return [Key(dpu_namespace(node["metadata"]["name"]), AGENT_LEASE)]


def _dpu(server: Json) -> str:
    name: str = server["spec"]["dpu"]["name"]
    return name
