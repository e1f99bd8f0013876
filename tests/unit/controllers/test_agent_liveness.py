"""An agent is believed while its Lease is renewed: a Lease that was taken away vouches for nobody."""

from copy import deepcopy

from provider.api.names import AGENT_LEASE, ANNOTATION_NODE_ID, dpu_namespace
from provider.api.resources import (
    BAREMETALMACHINE,
    CSINODE,
    EMULATEDDISK,
    EMULATEDNIC,
    LEASE,
    NODE,
    POWERSTATE,
    SERVER,
    VIRTUALDISK,
    VIRTUALNIC,
    ResourceType,
)
from provider.controllers.agents import LOOK_EVERY_S, AgentLiveness, Agents
from provider.runtime.cache import Cache
from provider.runtime.controller import Json, Key
from tests.unit.controllers.rig import ControlPlane, claim

LEASE_KEY = Key(dpu_namespace("dpu-1"), AGENT_LEASE)
DEVICES = (VIRTUALDISK, VIRTUALNIC)


async def running() -> ControlPlane:
    plane = ControlPlane()
    plane.cluster.have(BAREMETALMACHINE, claim())
    await plane.settle()
    return plane


def take_the_lease_away(plane: ControlPlane) -> Json:
    lease = plane.cluster.now(LEASE, AGENT_LEASE, LEASE_KEY.namespace)
    assert lease is not None
    gone = deepcopy(lease)
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T11:00:00Z"
    plane.cluster.have(LEASE, gone)
    return lease


def said(plane: ControlPlane) -> set[tuple[str, str]]:
    """Status and reason of Ready, over all devices."""
    conditions = [each for kind in DEVICES for device in plane.all(kind) for each in device["status"]["conditions"]]
    return {(each["status"], each["reason"]) for each in conditions if each["type"] == "Ready"}


def liveness(plane: ControlPlane) -> AgentLiveness:
    (found,) = [each for each in plane.controllers if isinstance(each, AgentLiveness)]
    return found


def looked_at(plane: ControlPlane) -> list[str]:
    """Kinds of the devices that are announced from now on."""
    announced: list[str] = []

    def note(resource: ResourceType, _: Json) -> None:
        if resource in DEVICES:
            announced.append(resource.kind)

    plane.cluster.cache.subscribe(note)
    return announced


async def test_an_agent_whose_lease_is_gone_is_lost_and_back_with_a_new_one() -> None:
    plane = await running()
    assert said(plane) == {("True", "Available")}
    lease = take_the_lease_away(plane)
    await plane.settle()
    assert said(plane) == {("Unknown", "AgentLost")}
    machine = plane.machine()
    assert machine is not None
    assert machine["status"]["printableStatus"] == "Unknown"
    assert plane.bmc.commands == ["On"]
    plane.cluster.have(LEASE, {"metadata": lease["metadata"] | {"uid": "uid-new"}, "spec": lease["spec"]})
    await plane.settle()
    assert said(plane) == {("True", "Available")}


async def test_an_agent_that_never_said_anything_is_waited_for_and_not_lost() -> None:
    plane = ControlPlane()
    take_the_lease_away(plane)
    plane.cluster.have(BAREMETALMACHINE, claim())
    while not plane.all(POWERSTATE):
        await plane.turn()
    assert ("Unknown", "AgentLost") not in said(plane)


async def test_the_devices_are_looked_at_when_the_lease_goes_and_when_it_comes() -> None:
    plane = await running()
    announced = looked_at(plane)
    lease = take_the_lease_away(plane)
    await liveness(plane).reconcile(LEASE_KEY)
    assert set(announced) == {"VirtualDisk", "VirtualNIC"}
    announced.clear()
    await liveness(plane).reconcile(LEASE_KEY)
    assert announced == []
    plane.cluster.have(LEASE, {"metadata": lease["metadata"] | {"uid": "uid-new"}, "spec": lease["spec"]})
    await liveness(plane).reconcile(LEASE_KEY)
    assert set(announced) == {"VirtualDisk", "VirtualNIC"}


def registered(plane: ControlPlane) -> list[str]:
    """Node ids of the DPU's entry."""
    entry = plane.cluster.now(CSINODE, "dpu-1")
    return [] if entry is None else [driver["nodeID"] for driver in entry["spec"]["drivers"]]


async def register(node_id: str | None, servers: list[Json]) -> list[str]:
    """What becomes of a Lease with that node id where the inventory has those servers."""
    plane = ControlPlane()
    annotations = {} if node_id is None else {ANNOTATION_NODE_ID: node_id}
    metadata = {
        "name": AGENT_LEASE,
        "namespace": LEASE_KEY.namespace,
        "uid": "uid-lease",
        "annotations": annotations or {},
    }
    plane.cluster.have(NODE, {"metadata": {"name": "dpu-1", "uid": "uid-node"}})
    plane.cluster.have(LEASE, {"metadata": metadata, "spec": {"leaseDurationSeconds": 15}})
    for resource in (SERVER, CSINODE):
        for known in plane.all(resource):
            await plane.cluster.delete(resource, known["metadata"]["name"])
    for server in servers:
        plane.cluster.have(SERVER, server)
    runtime = plane.cluster.runtime()
    await AgentLiveness(runtime, Agents(runtime.cache), ["lvol"]).reconcile(LEASE_KEY)
    return registered(plane)


def server_with(dpu: str, uid: str) -> Json:
    return {"metadata": {"name": uid, "uid": uid}, "spec": {"dpu": {"name": dpu}}}


async def test_a_node_id_that_the_agent_does_not_name_is_its_servers_uid() -> None:
    servers = [server_with("dpu-1", "uid-one"), server_with("dpu-2", "uid-two")]
    assert await register(None, servers) == ["uid-one"]
    assert await register("named", servers) == ["named"]


async def test_a_dpu_of_no_server_or_of_two_is_not_registered() -> None:
    assert await register(None, [server_with("dpu-2", "uid-two")]) == []
    assert await register(None, [server_with("dpu-1", "uid-one"), server_with("dpu-1", "uid-two")]) == []


class Watched:
    """A cache with the Lease of one agent, looked at every five seconds of a clock that a test sets."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.time = 100.0
        self.agents = Agents(self.cache, lambda: self.time)
        self.cache.track(LEASE, self.agents.poll.same)
        for kind in (EMULATEDDISK, EMULATEDNIC):
            self.cache.track(kind)
        self.announced = 0
        self._version = 0
        self.renew()
        self.cache.subscribe(self._note)
        self.agents.look()

    def _note(self, *_: object) -> None:
        self.announced += 1

    def renew(self, *, duration_s: int = 15, annotations: Json | None = None) -> None:
        self._version += 1
        metadata = {"name": AGENT_LEASE, "namespace": LEASE_KEY.namespace, "uid": "uid-lease"}
        spec = {"holderIdentity": "agent", "leaseDurationSeconds": duration_s, "renewTime": f"renewal {self._version}"}
        more = {"resourceVersion": str(self._version), "annotations": annotations or {}}
        self.cache.observe(LEASE, {"metadata": metadata | more, "spec": spec})

    def look_after(self, seconds: float) -> bool:
        self.time += seconds
        self.agents.look()
        return self.agents.lost("dpu-1") is not None


def test_a_lease_that_is_not_renewed_for_its_duration_is_announced_once_and_so_is_its_renewal() -> None:
    watched = Watched()
    assert [watched.look_after(LOOK_EVERY_S) for _ in range(5)] == [False, False, True, True, True]
    assert watched.announced == 1
    lost = watched.agents.lost("dpu-1")
    assert lost is not None
    assert "dpu-1 has not been heard of since renewal 1" in lost
    watched.renew(duration_s=3600)
    assert watched.look_after(LOOK_EVERY_S) is False
    assert watched.announced == 2


def test_renewals_are_announced_to_nobody_and_a_new_node_id_is() -> None:
    watched = Watched()
    for _ in range(5):
        watched.renew()
        assert watched.look_after(LOOK_EVERY_S) is False
    assert watched.announced == 0
    watched.renew(annotations={ANNOTATION_NODE_ID: "another"})
    assert watched.announced == 1


def test_while_the_api_server_is_away_no_agent_falls_silent() -> None:
    watched = Watched()
    assert watched.look_after(600) is False
    watched.renew()
    assert watched.look_after(LOOK_EVERY_S) is False
