"""Stories of a VirtualDisk: its volume or its seed, its device, and the order in which they go."""

import base64
from dataclasses import dataclass, field, replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provider.api.names import (
    ANNOTATION_VIRTUAL_DISK,
    FINALIZER_EMULATION,
    FINALIZER_IN_USE,
    dpu_namespace,
    emulated_disk,
    seed_secret,
    volume_attachment,
)
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDDISK, PERSISTENTVOLUMECLAIM, SECRET, VOLUMEATTACHMENT
from provider.api.virtualdisk import VirtualDisk
from provider.planning.action import ApplyObject, DeleteObject, PatchObject
from provider.planning.attachment import Storage
from provider.planning.emulated import STAYS, Departure
from provider.planning.seed import SeedNIC
from provider.planning.tenancy import NoHold
from provider.planning.virtualdisk import DiskPlan, SeedInputs, World, plan
from tests.unit.planning.builders import (
    DELETED,
    NAMESPACE,
    REFUSED,
    UNBOUND,
    Json,
    child,
    condition,
    hold_on,
    obj,
)
from tests.unit.planning.model_api import ModelApi, at_rest, merged

UID = "uid-disk"
DPU = dpu_namespace("dpu-of-s1")
PV = obj(
    "PersistentVolume",
    "pv",
    {"claimRef": {"uid": "uid-pvc"}, "csi": {"driver": "lvol", "volumeHandle": "h"}},
    namespace=None,
)
ATTACHMENT = volume_attachment("uid-pv")
LEAVING = Departure(machine_leaves=True, power_states=("PowerState p",))


def disk(*, seed: bool = False, deleted: bool = False, slot: int = 1, boots: bool = False) -> VirtualDisk:
    source: Json = {"seed": {"hostname": "bm-01"}} if seed else {"volumeRef": {"name": "v"}}
    source |= {"bootIndex": 1} if boots else {}
    return VirtualDisk.parse(child("VirtualDisk", "disk", source | {"slot": slot}, **(DELETED if deleted else {})))


def attached() -> Storage:
    claim = obj("PersistentVolumeClaim", "pvc", {"volumeName": "pv"}, finalizers=[FINALIZER_IN_USE])
    held = obj("VolumeAttachment", ATTACHMENT, {"nodeName": "dpu-of-s1"}, namespace=None)
    held["metadata"]["annotations"] = {ANNOTATION_VIRTUAL_DISK: UID}
    held["status"] = {"attached": True, "attachmentMetadata": {"uuid": "u"}}
    return Storage(claim | {"status": {"phase": "Bound"}}, PV, held)


def only_apply(decided: DiskPlan) -> ApplyObject:
    (action,) = decided.actions
    assert isinstance(action, ApplyObject)
    return action


def test_an_attached_volume_is_asked_for_in_the_dpus_namespace_with_its_publish_context() -> None:
    action = only_apply(plan(World(disk(), hold_on(), attached())))
    metadata, spec = action.body["metadata"], action.body["spec"]
    assert (metadata["namespace"], metadata["name"]) == (DPU, f"disk-{UID}")
    assert metadata["finalizers"] == [FINALIZER_EMULATION]
    assert spec["source"]["csi"]["publishContext"] == {"uuid": "u"}
    assert (spec["slot"], spec["claimUID"]) == (1, "uid-claim")


@pytest.mark.parametrize("forced", [False, True])
def test_that_a_removal_is_forced_is_told_to_the_dpu_before_the_removal_or_in_the_middle_of_it(forced: bool) -> None:
    made = disk()
    wanted = made.spec.for_provider.model_copy(update={"force_unplug": forced})
    made = made.model_copy(update={"spec": made.spec.model_copy(update={"for_provider": wanted})})
    asked = only_apply(plan(World(made, hold_on(), attached())))
    assert asked.body["spec"]["forceUnplug"] is forced
    leaving = made.model_copy(update={"metadata": disk(deleted=True).metadata})
    unforced = obj("EmulatedDisk", f"disk-{UID}", asked.body["spec"] | {"forceUnplug": False}, namespace=DPU, **DELETED)
    actions = plan(World(leaving, hold_on(), attached(), device=unforced)).actions
    assert [action.body for action in actions if isinstance(action, PatchObject)] == (
        [{"spec": {"forceUnplug": True}}] if forced else []
    )


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("hold", [REFUSED, UNBOUND], ids=["refused", "unbound"])
def test_without_a_hold_nothing_is_asked_of_any_dpu(hold: NoHold, deleted: bool) -> None:
    decided = plan(World(disk(deleted=deleted), hold, None))
    assert decided.actions == ()


def test_a_disk_that_points_at_a_strangers_server_is_refused_aloud() -> None:
    decided = plan(World(disk(), REFUSED, attached()))
    assert decided.actions == ()
    assert (decided.ready.reason, decided.synced.status) == (Reason.SERVER_NOT_YOURS, "False")


@pytest.mark.parametrize("slot", [3, 9], ids=["a NIC slot", "beyond the last"])
def test_a_slot_that_takes_no_disk_is_refused_and_the_others_are_listed(slot: int) -> None:
    decided = plan(World(disk(slot=slot), hold_on(), attached()))
    assert decided.actions == ()
    assert decided.ready.reason is Reason.SLOT_UNAVAILABLE
    assert "1, 2, 5, 6, 7, 8" in decided.ready.message


def test_a_slot_that_is_taken_is_left_to_who_has_it() -> None:
    decided = plan(World(disk(), hold_on(), attached(), slot_taken_by="disk-other"))
    assert decided.actions == ()
    assert "disk-other" in decided.ready.message


ETH0 = SeedNIC("eth0", "02:00:00:00:00:0a", ("10.20.0.11/24",))
ETH1 = SeedNIC("eth1", "02:00:00:00:00:0b", ("10.30.0.11/24",))


def shown(seed: SeedInputs) -> World:
    """A seed that was rendered and asked for."""
    world = World(disk(seed=True), hold_on(), seed=seed)
    secret, device = (each.body for each in applied(plan(world)))
    device["metadata"] |= {"uid": "d", "generation": 1}
    return replace(world, seed=replace(seed, secret=secret), device=device)


def applied(decided: DiskPlan) -> list[ApplyObject]:
    return [action for action in decided.actions if isinstance(action, ApplyObject)]


def files(secret: Json) -> dict[str, str]:
    return {name: base64.b64decode(content).decode() for name, content in secret["data"].items()}


def test_the_seed_is_written_before_the_device_that_names_it() -> None:
    secret, device = applied(plan(World(disk(seed=True), hold_on(), seed=SeedInputs((ETH0,)))))
    assert (secret.resource, secret.body["metadata"]["name"]) == (SECRET, seed_secret(UID))
    assert device.resource is EMULATEDDISK
    assert device.body["spec"]["source"]["seed"]["secretRef"] == {"name": seed_secret(UID)}
    assert device.body["spec"]["readOnly"] is True


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        (SeedInputs(pending=("VirtualNIC n",)), Reason.WAITING_FOR_NICS),
        (SeedInputs(user_data_fault="Secret s does not exist"), Reason.SECRET_NOT_FOUND),
    ],
)
def test_a_seed_waits_for_addresses_and_user_data(seed: SeedInputs, reason: Reason) -> None:
    decided = plan(World(disk(seed=True), hold_on(), seed=seed))
    assert (decided.actions, decided.ready.reason) == ((), reason)


def test_a_missing_secret_is_looked_for_again_for_nobody_tells() -> None:
    assert plan(World(disk(seed=True), hold_on(), seed=SeedInputs(user_data_fault="no"))).look_again_s is not None


def test_a_seed_follows_its_machines_nics_and_is_the_same_instance_with_the_same_user_data() -> None:
    before = shown(SeedInputs((ETH0,), user_data=b"#!/bin/sh"))
    assert before.seed is not None
    assert before.seed.secret is not None
    assert before.device is not None
    old = files(before.seed.secret)
    for nics in ((ETH0, ETH1), (ETH1,)):
        # The tenant's own Secret is not asked any more.
        seed = replace(before.seed, nics=nics, user_data=None)
        secret, device = applied(plan(replace(before, seed=seed)))
        new = files(secret.body)
        assert {name for name in new if new[name] != old[name]} == {"network-config"}
        assert [nic.name for nic in nics] == list(yaml.safe_load(new["network-config"])["ethernets"])
        assert device.body["spec"]["source"] != before.device["spec"]["source"], "a new generation, to be waited for"
        assert (secret.policy, device.policy) == ("Update", "Update")


@pytest.mark.parametrize("pending", [(), ("VirtualNIC n",)], ids=["the same NICs", "a NIC without address"])
def test_a_seed_whose_nics_are_the_same_or_not_known_yet_stays_as_it_is(pending: tuple[str, ...]) -> None:
    before = shown(SeedInputs((ETH0,)))
    assert before.seed is not None
    nics = () if pending else (ETH0,)
    assert plan(replace(before, seed=replace(before.seed, nics=nics, pending=pending))).actions == ()


def test_network_and_name_are_set_up_at_every_boot_unless_user_data_says_otherwise() -> None:
    secret, _ = applied(plan(World(disk(seed=True), hold_on(), seed=SeedInputs((ETH0,)))))
    told = yaml.safe_load(files(secret.body)["vendor-data"])
    assert told == {"updates": {"network": {"when": ["boot-new-instance", "boot"]}}}


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (1, False)])
def test_user_data_that_is_too_large_for_the_seed_is_refused_with_the_number_of_bytes_that_fit(
    spare: int, fits: bool
) -> None:
    seed: Json = {"hostname": "bm-01", "userDataSecretRef": {"name": "big"}}
    holder = VirtualDisk.parse(child("VirtualDisk", "disk", {"seed": seed, "slot": 1}))
    world = World(holder, hold_on(), seed=SeedInputs((ETH0,), user_data=b""))
    (small, _), most = applied(plan(world)), 1024 * 1024
    size = most - sum(len(content) for content in files(small.body).values()) + spare
    decided = plan(replace(world, seed=SeedInputs((ETH0,), user_data=b"x" * size)))
    assert bool(applied(decided)) is fits
    if not fits:
        assert decided.ready.reason is Reason.USER_DATA_TOO_LARGE
        assert f"Secret big has {size} bytes, and {size - spare} fit" in decided.ready.message
        assert decided.look_again_s is not None


def test_a_deleted_disk_of_a_leaving_machine_waits_until_the_power_was_seen_off() -> None:
    device = only_apply(plan(World(disk(), hold_on(), attached()))).body
    device["metadata"] |= {"uid": "d", "generation": 1, "resourceVersion": "1"}
    decided = plan(World(disk(deleted=True), hold_on(), attached(), device=device, departure=LEAVING))
    assert decided.actions == ()
    assert decided.ready.reason is Reason.WAITING_FOR_POWER_OFF


@pytest.mark.parametrize(
    ("boots", "running", "waits"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_the_disk_that_a_running_machine_boots_from_is_not_pulled_out_by_a_delete(
    boots: bool, running: bool, waits: bool
) -> None:
    device = only_apply(plan(World(disk(boots=boots), hold_on(), attached()))).body
    device["metadata"] |= {"uid": "d", "generation": 1, "resourceVersion": "1"}
    stays = Departure(power_states=("PowerState p",), running=("PowerState p",) if running else ())
    deleted = disk(deleted=True, boots=boots)
    decided = plan(World(deleted, hold_on(), attached(), device=device, departure=stays))
    assert (decided.ready.reason is Reason.WAITING_FOR_POWER_OFF) is waits
    assert (decided.actions == ()) is waits


@dataclass
class Scene:
    """A disk's world, to which things happen; the agent and provider.csi are played by ``happen``."""

    seed: bool
    api: ModelApi = field(default_factory=ModelApi)
    deleted: bool = False
    powered: bool = False
    held: bool = True
    tampered: bool = False

    def __post_init__(self) -> None:
        claim = obj("PersistentVolumeClaim", "pvc", {"volumeName": "pv"}) | {"status": {"phase": "Bound"}}
        self.api.put(PERSISTENTVOLUMECLAIM, claim)

    @property
    def device(self) -> Json | None:
        return self.api.get(EMULATEDDISK, emulated_disk(UID), DPU)

    @property
    def attachment(self) -> Json | None:
        return self.api.get(VOLUMEATTACHMENT, ATTACHMENT)

    @property
    def claim(self) -> Json:
        claim = self.api.get(PERSISTENTVOLUMECLAIM, "pvc", NAMESPACE)
        assert claim is not None
        return claim

    def decide(self) -> DiskPlan:
        secret = self.api.get(SECRET, seed_secret(UID), DPU)
        return plan(
            World(
                disk(seed=self.seed, deleted=self.deleted),
                hold_on() if self.held else UNBOUND,
                None if self.seed else Storage(self.claim, PV, self.attachment),
                SeedInputs(secret=secret) if self.seed else None,
                self.device,
                departure=LEAVING if self.deleted and self.powered else STAYS,
            )
        )

    def happen(self, event: str) -> None:
        device, attachment = self.device, self.attachment
        match event:
            case "delete":
                self.deleted = True
            case "power on":
                self.powered = self.powered or not self.deleted
            case "power off":
                self.powered = False
            case "claim lost":
                self.held = not self.held
            case "deleted by hand" if device is not None:
                self.tampered = True
                self.api.carry_out(
                    DeleteObject(EMULATEDDISK, DPU, device["metadata"]["name"], device["metadata"]["uid"])
                )
            case "agent" if device is not None:
                self.api.put(EMULATEDDISK, merged(device, {"status": _reported(device)}))
            case "csi" if attachment is not None:
                self.api.put(VOLUMEATTACHMENT, merged(attachment, _served(attachment)))
            case _:
                pass


def _reported(device: Json) -> Json:
    leaving = "deletionTimestamp" in device["metadata"]
    told = condition("Removed", "True", "Removed") if leaving else condition("Ready", "True", "Available")
    return {"observedGeneration": device["metadata"]["generation"], "conditions": [told]}


def _served(attachment: Json) -> Json:
    if "deletionTimestamp" in attachment["metadata"]:
        return {"metadata": {"finalizers": None}}
    return {
        "metadata": {"finalizers": ["metalplane.io/csi"]},
        "status": {"attached": True, "attachmentMetadata": {"uuid": "u"}},
    }


EVENTS = ["agent", "deleted by hand", "csi", "delete", "power on", "power off", "claim lost"]


@given(st.booleans(), st.lists(st.sampled_from(EVENTS), max_size=16))
def test_carrying_out_a_plan_and_planning_again_gives_the_empty_plan_whatever_happens(
    seed: bool, happened: list[str]
) -> None:
    scene = Scene(seed)
    at_rest(scene.api, scene.decide)
    for event in happened:
        had_device = scene.device is not None
        scene.happen(event)
        decided = at_rest(scene.api, scene.decide)
        _check_order(scene, decided, had_device=had_device)


def _check_order(scene: Scene, decided: DiskPlan, *, had_device: bool) -> None:
    device, attachment = scene.device, scene.attachment
    going = device is not None and "deletionTimestamp" in device["metadata"]
    if not scene.deleted or scene.powered:
        assert not going or scene.tampered
        assert attachment is None or "deletionTimestamp" not in attachment["metadata"]
    if device is not None and not scene.seed:
        assert attachment is not None
        assert "deletionTimestamp" not in attachment["metadata"], "a volume is given up after its device"
    if attachment is not None:
        assert FINALIZER_IN_USE in scene.claim["metadata"]["finalizers"], "a claim is protected while attached"
    if scene.deleted and not had_device:
        assert device is None, "nothing new is made on the delete path"
    if decided.gone:
        assert device is None
        assert attachment is None
        assert FINALIZER_IN_USE not in scene.claim["metadata"].get("finalizers", ())


def test_a_disk_whose_way_is_not_blocked_comes_up_and_goes_altogether() -> None:
    scene = Scene(seed=False)
    for event in ("", "csi", "agent"):
        scene.happen(event)
        decided = at_rest(scene.api, scene.decide)
    assert decided.ready.status == "True"
    for event in ("delete", "agent", "csi"):
        scene.happen(event)
        decided = at_rest(scene.api, scene.decide)
    assert decided.gone
