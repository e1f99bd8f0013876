"""A device in the DPU's namespace: believed only for its generation, taken away only after the agent undid it."""

import pytest

from provider.api.emulatednic import EmulatedNIC
from provider.api.emulation import TraceParent
from provider.api.names import FINALIZER_EMULATION
from provider.api.reasons import Reason
from provider.api.resources import EMULATEDNIC
from provider.planning.action import ApplyObject, DeleteObject, PatchObject
from provider.planning.emulated import ensure, readiness, remove, trace_of
from tests.unit.planning.builders import DELETED, Json, condition, hold_on, obj

SPEC: Json = {
    "machineRef": {"namespace": "tenant-a", "name": "bm-01", "uid": "u"},
    "claimUID": "c",
    "nicSlot": 3,
    "representor": "vm0",
    "mac": "02:00:00:00:00:0a",
    "network": {"name": "n", "vlan": 1, "mtu": 1500},
    "addresses": [],
}


def device(*conditions: Json, observed: int = 1, **metadata: object) -> Json:
    made = obj("EmulatedNIC", "nic-x", SPEC, namespace="d", finalizers=[FINALIZER_EMULATION], **metadata)
    return made | {"status": {"observedGeneration": observed, "conditions": list(conditions)}}


READY = condition("Ready", "True", "Available")


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        (None, "False", Reason.CREATING),
        (device(observed=-1), "False", Reason.WAITING_FOR_AGENT),
        (device(READY, observed=0), "False", Reason.WAITING_FOR_AGENT),
        (device(READY), "True", Reason.AVAILABLE),
        (device(READY, **DELETED), "False", Reason.CREATING),
        (device(condition("Ready", "False", "Unavailable")), "False", Reason.UNAVAILABLE),
        (device(condition("Ready", "False", "AWordOfTheAgents")), "False", Reason.WAITING_FOR_AGENT),
    ],
    ids=["none", "not seen", "earlier generation", "ready", "going", "known word", "finer word"],
)
def test_the_agent_is_believed_for_the_generation_that_was_asked_for(
    seen: Json | None, status: str, reason: Reason
) -> None:
    verdict = readiness(EmulatedNIC.parse(seen) if seen else None, agent_lost=None)
    assert (verdict.status, verdict.reason) == (status, reason)


def test_a_silent_agent_outweighs_what_it_said_last() -> None:
    assert readiness(EmulatedNIC.parse(device(READY)), agent_lost="silent").status == "Unknown"


def test_a_device_as_desired_is_left_alone() -> None:
    seen = device(labels={"metalplane.io/machine-uid": hold_on().machine.uid})
    assert ensure(EMULATEDNIC, "d", "nic-x", hold_on(), SPEC, seen, "a NIC") == ()


@pytest.mark.parametrize("change", ["spec", "label", "finalizer"])
def test_a_device_that_was_changed_by_hand_is_put_back_and_never_made_anew(change: str) -> None:
    seen = device(labels={"metalplane.io/machine-uid": hold_on().machine.uid})
    if change == "spec":
        seen["spec"] = SPEC | {"mac": "02:00:00:00:00:0b"}
    else:
        del seen["metadata"]["labels" if change == "label" else "finalizers"]
    (action,) = ensure(EMULATEDNIC, "d", "nic-x", hold_on(), SPEC, seen, "a NIC")
    assert isinstance(action, ApplyObject)
    assert (action.body["metadata"]["uid"], action.policy) == ("uid-nic-x", "Update")


def test_a_device_that_somebody_deleted_goes_once_it_is_undone_and_is_then_made_anew() -> None:
    asked = [device(**DELETED), device(condition("Removed", "True", "Removed"), **DELETED), None]
    types = [
        [type(action) for action in ensure(EMULATEDNIC, "d", "nic-x", hold_on(), SPEC, seen, "")] for seen in asked
    ]
    assert types == [[], [PatchObject], [ApplyObject]]


def removal(seen: Json) -> list[type]:
    actions, _ = remove(EMULATEDNIC, seen, EmulatedNIC.parse(seen), None)
    return [type(action) for action in actions]


def test_the_finalizer_comes_off_only_after_the_agent_said_removed() -> None:
    assert removal(device()) == [DeleteObject]
    assert removal(device(READY, **DELETED)) == []
    assert removal(device(condition("Removed", "False", "Unplugging"), **DELETED)) == []
    assert removal(device(condition("Removed", "True", "Removed"), **DELETED)) == [PatchObject]


def test_a_removal_by_force_is_told_first_and_also_to_a_device_that_was_asked_to_go_before() -> None:
    held = condition("Removed", "False", "Deleting", "the server holds on to it")
    for seen in (device(READY), device(held, **DELETED)):
        (action,), message = remove(EMULATEDNIC, seen, EmulatedNIC.parse(seen), None, forced=True)
        assert isinstance(action, PatchObject)
        assert (action.body, action.policy) == ({"spec": {"forceUnplug": True}}, "Delete")
        assert action.resource_version == seen["metadata"]["resourceVersion"]
        assert message == "asking the DPU to take away EmulatedNIC nic-x by force"
        told = seen | {"spec": SPEC | {"forceUnplug": True}}
        actions, _ = remove(EMULATEDNIC, told, EmulatedNIC.parse(told), None, forced=True)
        assert [type(each) for each in actions] == ([] if "deletionTimestamp" in seen["metadata"] else [DeleteObject])
    gone = device(condition("Removed", "True", "Available"), **DELETED)
    (action,), _ = remove(EMULATEDNIC, gone, EmulatedNIC.parse(gone), None, forced=True)
    assert "finalizers" in action.body["metadata"]  # type: ignore[union-attr]


def test_what_keeps_a_removal_is_told() -> None:
    seen = device(condition("Removed", "False", "Unplugging", "the server holds on to it"), **DELETED)
    _, message = remove(EMULATEDNIC, seen, EmulatedNIC.parse(seen), None)
    assert message.endswith(": the server holds on to it")
    _, message = remove(EMULATEDNIC, seen, EmulatedNIC.parse(seen), "the agent is away")
    assert message.endswith(": the agent is away")


def test_a_device_keeps_the_trace_that_it_was_made_under() -> None:
    first, later = (TraceParent(trace_id=digit * 32, parent_span_id=digit * 16) for digit in "ab")
    made = device()
    made["spec"] = SPEC | {"trace": first.to_json()}
    assert trace_of(later, made) == first
    assert trace_of(later, None) == later
