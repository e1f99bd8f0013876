"""The whole control plane in one loop: our controllers on a model cluster, everybody else played by a few lines.

Played are the DPU's agent, kube-controller-manager's binder, a CSI driver and a BMC. Each change outside burns a step
of a fuse; where the fuse ends, the process is killed, and ``restart`` begins again with nothing but what the cluster
has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crossplane.function.proto.v1 import run_function_pb2 as fnv1

from provider import csi
from provider.api.names import AGENT_LEASE, INSTALLATION_NAMESPACE, dpu_namespace
from provider.api.resources import (
    BAREMETALMACHINE,
    CLUSTERPROVIDERCONFIG,
    CSINODE,
    EMULATEDDISK,
    EMULATEDNIC,
    INSTANCETYPE,
    LEASE,
    MACHINEIMAGE,
    NAMESPACE,
    NETWORK,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    SECRET,
    SERVER,
    STORAGECLASS,
    VOLUMEATTACHMENT,
    ResourceType,
)
from provider.bmc.endpoint import Endpoint
from provider.bmc.power import PowerReading, ResetType
from provider.composition import pipeline
from provider.composition.controller import CompositionController
from provider.composition.functions import Fetch, FunctionRunner, settled
from provider.composition.pipeline import Step
from provider.controllers import build
from provider.function.server import FunctionRunner as Function
from provider.runtime.cache import Cache
from provider.runtime.controller import Controller, Json, Key, RequeueAfter
from provider.runtime.errors import AlreadyExists, Conflict, NotFound
from tests.unit.provider_csi.storage import RememberingDriver, image
from tests.unit.runtime.model_cluster import ModelCluster, RecordedEvents, merged

_ROUNDS = 60
_ROUND_S = 5.0
_POLL_S = 5.0
"""A look that is this far away is routine: whoever wants it is at rest."""
_NOT_OURS = (SECRET, STORAGECLASS)


class Killed(BaseException):
    """The process was killed; nothing of ours may catch it."""


class Fuse:
    """Counts changes of the world outside, and ends the process before one of them."""

    def __init__(self) -> None:
        self.burnt = 0
        self.ends_at: int | None = None

    def burn(self) -> None:
        """A change is about to be made."""
        self.burnt += 1
        if self.burnt == self.ends_at:
            raise Killed


class FusedCluster(ModelCluster):
    """A cluster whose writes burn the fuse."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    def _about_to_write(self) -> None:
        self._fuse.burn()
        super()._about_to_write()


class FusedDriver(RememberingDriver):
    """A CSI driver that does nothing twice, and whose calls burn the fuse."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse
        self.volumes: set[str] = set()
        self.snapshots: set[str] = set()

    def _called(self, *call: Any) -> None:
        self._fuse.burn()
        super()._called(*call)
        if call[0] == "create":
            self.volumes.add(f"handle-of-{call[1]}")
            self.snapshots |= {f"image-{sha256}" for key, sha256 in call[3].items() if key == "imageSha256"}
        if call[0] == "delete":
            self.volumes.discard(call[1])
        if call[0] == "delete snapshot":
            self.snapshots.discard(call[1])


class PlayedBMC:
    """A server that follows commands when the world goes on."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self.power = PowerReading.OFF
        self.asked: ResetType | None = None
        self.commands: list[str] = []

    def connect(self, endpoint: Endpoint) -> "PlayedBMC":
        """Itself: there is one server."""
        return self

    async def read_power(self) -> PowerReading:
        return self.power

    async def reset(self, reset_type: ResetType) -> None:
        self._fuse.burn()
        self.asked = reset_type
        self.commands.append(reset_type.value)

    async def boot_from_disk(self) -> None:
        """The only disk is the first anyway."""

    def follow(self) -> None:
        """Do what was asked last."""
        if self.asked is not None:
            stays_on = self.asked in (ResetType.ON, ResetType.FORCE_RESTART)
            self.power = PowerReading.ON if stays_on else PowerReading.OFF
            self.asked = None


class _InProcess(FunctionRunner):
    def __init__(self) -> None:
        super().__init__({})

    async def run(self, step: Step, request: fnv1.RunFunctionRequest, fetch: Fetch) -> fnv1.RunFunctionResponse:
        return await settled(step, request, lambda each: Function().RunFunction(each, None), fetch)


class ControlPlane:
    """``turn`` lets every controller look at every object once, and then the others do their part."""

    def __init__(self) -> None:
        self.fuse = Fuse()
        self.cluster = FusedCluster(self.fuse)
        self.driver = FusedDriver(self.fuse)
        self.bmc = PlayedBMC(self.fuse)
        self.now = datetime(2026, 1, 1, 10, tzinfo=UTC)
        self._objects: dict[ResourceType, list[Json]] = {}
        self.restart()
        for resource, obj in _inventory():
            self.cluster.have(resource, obj)

    def restart(self) -> None:
        """A new process: empty cache, new controllers."""
        self.cluster.cache = Cache()
        events = RecordedEvents()
        self.told = events.said
        runtime = replace(self.cluster.runtime(), clock=lambda: self.now, events=events)
        self.controllers: list[Controller] = [
            CompositionController(runtime, pipeline.packaged(), _InProcess()),
            *build(runtime, bmc=self.bmc, drivers=["lvol"]).controllers,
            *csi.build(runtime, {"lvol": self.driver}),
        ]
        kinds = {watch.resource for each in self.controllers for watch in each.watches}
        for kind in kinds | {each.resource for each in self.controllers}:
            self.cluster.cache.track(kind)
        self.cluster.tell_all()

    async def settle(self) -> None:
        """Turn until nothing changes any more."""
        for _ in range(_ROUNDS):
            before = self._state()
            looks_again = await self.turn()
            if self._state() == before and not looks_again:
                return
        raise AssertionError(f"it does not come to rest: {self.cluster.writes[-5:]}")

    async def turn(self) -> bool:
        """One look of everybody at everything; whether somebody wants to look again soon, by no event."""
        looks_again = False
        for controller in self.controllers:
            for obj in self.cluster.cache.list(controller.resource):
                try:
                    outcome = await controller.reconcile(Key.of(obj))
                    looks_again |= isinstance(outcome, RequeueAfter) and outcome.delay_s < _POLL_S
                except (Conflict, NotFound, AlreadyExists):
                    continue
                finally:
                    self.check()
        self.bmc.follow()
        for resource in (EMULATEDDISK, EMULATEDNIC):
            for device in self.all(resource):
                self._change(resource, device, {"status": _agents_report(device, self.bmc.power)})
        self._bind()
        self.now += timedelta(seconds=_ROUND_S)
        return looks_again

    def all(self, resource: ResourceType) -> list[Json]:
        """Every object of a kind, as it is."""
        return self.cluster.every(resource)

    def machine(self) -> Json | None:
        """The machine, as it is."""
        return next(iter(self.all(BAREMETALMACHINE)), None)

    def check(self) -> None:
        """What must hold at every moment, whoever was killed when."""
        devices = self.all(EMULATEDDISK) + self.all(EMULATEDNIC)
        attachments, claims = self.all(VOLUMEATTACHMENT), self.all(PERSISTENTVOLUMECLAIM)
        on = self.bmc.power is PowerReading.ON
        assert not (on and any(map(_going, devices))), "a device is taken away before the power was seen off"
        shown = [each for each in self.all(EMULATEDDISK) if "csi" in each["spec"]["source"]]
        assert not shown or not any(map(_going, attachments)), "a volume is detached before its disk is gone"
        assert not shown or attachments, "a disk is shown without a hold on its volume"
        assert not attachments or claims, "the volume of a disk is deleted"
        held = [server for server in self.all(SERVER) if server["spec"].get("claimRef")]
        assert held or not (on or devices), "a server is free while its DPU shows devices"

    def _state(self) -> tuple[int, int, str]:
        return self.cluster.version, self.fuse.burnt, self.bmc.power

    def _change(self, resource: ResourceType, obj: Json, patch: Json) -> None:
        changed = merged(obj, patch)
        if changed != obj:
            self.cluster.have(resource, changed)

    def _bind(self) -> None:
        """kube-controller-manager's part: what names each other is bound; a PV whose claim is gone is released."""
        claims: Mapping[str, Json] = {claim["metadata"]["uid"]: claim for claim in self.all(PERSISTENTVOLUMECLAIM)}
        for volume in self.all(PERSISTENTVOLUME):
            claim = claims.get(volume["spec"]["claimRef"]["uid"])
            self._change(PERSISTENTVOLUME, volume, {"status": {"phase": "Bound" if claim else "Released"}})
            if claim is not None:
                status = {"phase": "Bound", "capacity": volume["spec"]["capacity"]}
                bound = {"spec": {"volumeName": volume["metadata"]["name"]}, "status": status}
                self._change(PERSISTENTVOLUMECLAIM, claim, bound)


def _going(obj: Json) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _agents_report(device: Json, power: PowerReading) -> Json:
    type_ = "Removed" if _going(device) else "Ready"
    told = {"type": type_, "status": "True", "reason": "Available", "lastTransitionTime": "2026-01-01T10:00:00Z"}
    status: Json = {"observedGeneration": device["metadata"]["generation"], "conditions": [told]}
    if "nicSlot" in device["spec"]:
        state = "Reachable" if power is PowerReading.ON else "Unreachable"
        status["reachability"] = {"state": state, "since": "2026-01-01T10:00:00Z"}
    else:
        status["sessions"] = 1 if power is PowerReading.ON else 0
    return status


def _inventory() -> Iterator[tuple[ResourceType, Json]]:
    yield NAMESPACE, {"metadata": {"name": "tenant-a"}, "spec": {"finalizers": ["kubernetes"]}}
    yield STORAGECLASS, {"metadata": {"name": "lvol"}, "provisioner": "lvol", "parameters": {}}
    yield CLUSTERPROVIDERCONFIG, {"metadata": {"name": "default"}, "spec": {"storageClassName": "lvol"}}
    yield MACHINEIMAGE, image()
    yield INSTANCETYPE, {"metadata": {"name": "small"}, "spec": {"cpus": 2, "memory": "4Gi"}}
    network = {"vlan": 100, "subnet": "10.20.0.0/24", "allowedNamespaces": ["tenant-a"]}
    yield NETWORK, {"metadata": {"name": "tenant-a"}, "spec": network}
    secret = {"name": "s1-bmc", "namespace": INSTALLATION_NAMESPACE}
    yield SECRET, {"metadata": secret, "data": {"username": "YQ==", "password": "Yg=="}}
    yield LEASE, _lease()
    yield CSINODE, {"metadata": {"name": "dpu-1"}, "spec": {"drivers": [{"name": "lvol", "nodeID": "server-1"}]}}
    server = {
        "bmc": {"address": "192.0.2.1", "secretRef": {"name": "s1-bmc"}},
        "dpu": {"name": "dpu-1"},
        "nicSlots": [{"slot": 3, "representor": "vm0"}, {"slot": 4, "representor": "vm1"}],
        "capacity": {"cpus": 4, "memory": "8Gi"},
    }
    yield SERVER, {"metadata": {"name": "server-1", "uid": "99999999-0000-0000-0000-000000000001"}, "spec": server}


def _lease() -> Json:
    """The Lease of an agent that is believed for longer than any test takes."""
    spec = {"holderIdentity": "dpu-1", "leaseDurationSeconds": 86400, "renewTime": "2026-01-01T10:00:00.000000Z"}
    return {"metadata": {"name": AGENT_LEASE, "namespace": dpu_namespace("dpu-1")}, "spec": spec}


def claim(*, keep: bool = False) -> Json:
    """A machine as its tenant writes it."""
    metadata = {"name": "bm-01", "namespace": "tenant-a", "uid": "11111111-2222-3333-4444-555555555555"}
    spec = {
        "runStrategy": "Always",
        "instanceType": "small",
        "disks": [{"name": "root", "boot": True, "image": "tiny", "size": "1Gi", "keep": keep}],
        "networkInterfaces": [{"name": "eth0", "network": "tenant-a"}],
    }
    return {"metadata": metadata | {"creationTimestamp": "2026-01-01T10:00:00Z"}, "spec": spec}
