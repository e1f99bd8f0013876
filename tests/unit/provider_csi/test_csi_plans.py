"""What a PVC, a PV and a VolumeAttachment need next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.machineimage import MachineImage
from provider.api.names import ANNOTATION_IMAGE_DIGEST, ANNOTATION_PROVISIONING_ERROR, FINALIZER_CSI
from provider.api.reasons import Reason
from provider.csi.planning import (
    Abandon,
    DeleteVolume,
    Expand,
    Hold,
    LetGo,
    Nothing,
    Provision,
    Publish,
    Refuse,
    ReportSize,
    Unpublish,
)
from provider.csi.planning import attachment as plan_attachment
from provider.csi.planning import claim as plan_claim
from provider.csi.planning import volume as plan_volume
from tests.unit.provider_csi.storage import DIGEST, GIB, GOING, Json, attachment, bound, image, pv, pvc

IMAGE = MachineImage.parse(image())
HELD: Json = {"finalizers": [FINALIZER_CSI]}


def refusal(claim: Json, found: MachineImage | None) -> Refuse:
    """Before a claim is held, and as well if it was held when it could still be served."""
    step = plan_claim(claim, None, found)
    assert isinstance(step, Refuse)
    assert plan_claim(claim | {"metadata": claim["metadata"] | HELD}, None, found) == step
    return step


def test_a_blank_volume_needs_no_image() -> None:
    assert plan_claim(pvc("2Gi", **HELD), None, None) == Provision(2 * GIB, None, None)


def test_a_clone_is_made_from_the_images_content() -> None:
    assert plan_claim(pvc("2Gi", image="tiny", **HELD), None, IMAGE) == Provision(2 * GIB, DIGEST, GIB)


def test_a_pin_opens_nothing_that_the_images_name_does_not() -> None:
    pinned = pvc("1Gi", image="tiny", annotations={ANNOTATION_IMAGE_DIGEST: "cd" * 32}, **HELD)
    told = refusal(pinned, IMAGE)
    assert told.reason is Reason.PROVISIONING_FAILED
    assert "pinned to cdcd" in told.message


def test_an_image_that_is_not_granted_to_the_namespace_is_refused_and_says_how_to_grant_it() -> None:
    step = refusal(pvc(image="tiny"), MachineImage.parse(image(allowed=("tenant-b",))))
    assert step.reason is Reason.IMAGE_NOT_GRANTED
    assert "add tenant-a to spec.allowedNamespaces" in step.message


def test_the_pin_does_not_get_round_the_grant() -> None:
    pinned = pvc(image="tiny", annotations={ANNOTATION_IMAGE_DIGEST: DIGEST})
    assert refusal(pinned, MachineImage.parse(image(allowed=()))).reason is Reason.IMAGE_NOT_GRANTED


def test_an_image_that_is_not_there_is_waited_for_by_name() -> None:
    step = refusal(pvc(image="tomorrow"), None)
    assert (step.reason, "tomorrow" in step.message) == (Reason.IMAGE_NOT_FOUND, True)


def test_an_image_that_does_not_fit_is_refused_before_anything_is_made() -> None:
    assert refusal(pvc("512Mi", image="tiny"), IMAGE).reason is Reason.PROVISIONING_FAILED


@pytest.mark.parametrize("field", ["dataSourceRef", "dataSource"])
@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "VolumeSnapshot"])
def test_a_source_that_is_no_machineimage_is_refused(field: str, kind: str) -> None:
    claim = pvc()
    claim["spec"][field] = {"kind": kind, "name": "x", "apiGroup": "snapshot.storage.k8s.io"}
    step = refusal(claim, None)
    assert step.reason is Reason.PROVISIONING_FAILED
    assert kind in step.message


def test_a_machineimage_of_another_group_is_not_ours() -> None:
    claim = pvc(image="tiny")
    claim["spec"]["dataSourceRef"]["apiGroup"] = "example.org"
    assert isinstance(plan_claim(claim, None, IMAGE), Refuse)


def bound_elsewhere(claim: Json) -> Json:
    return claim | {"spec": claim["spec"] | {"volumeName": "another"}}


MADE_AS = Provision(2 * GIB, DIGEST, GIB)
NEW, OURS = pvc("2Gi", image="tiny"), pvc("2Gi", image="tiny", **HELD)
GOES, OURS_GOES = pvc("2Gi", image="tiny", **GOING), pvc("2Gi", image="tiny", **HELD, **GOING)


@pytest.mark.parametrize(
    ("claim", "made", "step"),
    [
        (NEW, False, Hold()),
        (OURS, False, MADE_AS),
        (OURS, True, Nothing()),
        (NEW, True, Nothing()),
        (GOES, False, Nothing()),
        (OURS_GOES, False, Abandon(MADE_AS)),
        (OURS_GOES, True, LetGo()),
        (bound_elsewhere(OURS), False, Abandon(MADE_AS)),
        (bound_elsewhere(NEW), False, Nothing()),
    ],
    ids=[
        "new",
        "held",
        "held and made",
        "made",
        "going",
        "going while a volume may have been made",
        "going and made",
        "bound elsewhere while a volume may have been made",
        "bound elsewhere",
    ],
)
def test_a_claim_is_held_from_before_its_volume_is_made_until_it_goes(claim: Json, made: bool, step: object) -> None:
    assert plan_claim(claim, None, IMAGE, made=made) == step


def test_a_claim_that_was_refused_its_image_goes_without_a_call_of_the_driver() -> None:
    told = {ANNOTATION_PROVISIONING_ERROR: "ImageNotGranted: MachineImage tiny is not granted to namespace tenant-a"}
    claim = pvc("2Gi", image="tiny", annotations=told, **HELD, **GOING)
    assert plan_claim(claim, None, MachineImage.parse(image(allowed=()))) == LetGo()


@pytest.mark.parametrize("found", [None, MachineImage.parse(image(allowed=()))], ids=["gone", "not granted any more"])
def test_a_volume_is_abandoned_though_it_could_not_be_made_any_more(found: MachineImage | None) -> None:
    claim = pvc("2Gi", image="tiny", annotations={ANNOTATION_IMAGE_DIGEST: DIGEST}, **HELD, **GOING)
    step = plan_claim(claim, None, found)
    assert isinstance(step, Abandon)
    assert (step.made_as.size_bytes, step.made_as.image_sha256) == (2 * GIB, DIGEST)


@given(asked=st.integers(1, 8), volume=st.integers(1, 8), reported=st.integers(0, 8))
def test_a_volume_grows_then_its_claim_says_so_and_nothing_ever_shrinks(asked: int, volume: int, reported: int) -> None:
    claim = bound(pvc(f"{asked}Gi"), f"{reported}Gi")
    step = plan_claim(claim, pv(f"{volume}Gi"), None)
    if asked > volume:
        assert step == Expand(asked * GIB)
    elif reported < volume:
        assert step == ReportSize(f"{volume}Gi")
    else:
        assert step == Nothing()


@given(asked=st.integers(1, 8), volume=st.integers(1, 8))
def test_carrying_out_a_claims_step_and_planning_again_gives_nothing_to_do(asked: int, volume: int) -> None:
    claim, made = bound(pvc(f"{asked}Gi"), f"{volume}Gi"), pv(f"{volume}Gi")
    for _ in range(2):
        match plan_claim(claim, made, None):
            case Expand(size_bytes=size_bytes):
                made = pv(str(size_bytes))
            case ReportSize(capacity=capacity):
                claim = bound(claim, capacity)
            case _:
                pass
    assert plan_claim(claim, made, None) == Nothing()


def test_a_claim_that_is_not_bound_yet_is_not_resized() -> None:
    claim = bound(pvc("5Gi"), "1Gi") | {"status": {"phase": "Pending"}}
    assert plan_claim(claim, pv("1Gi"), None) == Nothing()
    assert plan_claim(bound(pvc("5Gi"), "1Gi"), None, None) == Nothing()


@pytest.mark.parametrize(
    ("volume", "step"),
    [
        (pv(), Nothing()),
        (pv(phase="Released"), DeleteVolume()),
        (pv(phase="Available"), Nothing()),
        (pv(phase="Released", policy="Retain"), Nothing()),
        (pv(phase="Released", policy="Retain", **GOING), LetGo()),
        (pv(phase="Bound", **GOING), Nothing()),
        ({**pv(), "status": {}}, Nothing()),
    ],
    ids=["in use", "released", "not bound", "kept", "kept and deleted", "deleted in use", "no status"],
)
def test_the_data_goes_only_when_its_claim_has_gone_and_the_class_says_so(volume: Json, step: object) -> None:
    assert plan_volume(volume) == step


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (attachment(), Hold()),
        (attachment(finalizers=[FINALIZER_CSI]), Publish()),
        (attachment(finalizers=[FINALIZER_CSI], attached=True), Nothing()),
        (attachment(finalizers=[FINALIZER_CSI], attached=True, **GOING), Unpublish()),
        (attachment(finalizers=[FINALIZER_CSI], **GOING), Unpublish()),
        (attachment(finalizers=["theirs"], **GOING), Nothing()),
    ],
    ids=["new", "held", "attached", "going", "going before it was told attached", "not ours any more"],
)
def test_an_attachment_is_held_before_it_is_published_and_closed_before_it_goes(seen: Json, step: object) -> None:
    assert plan_attachment(seen) == step
