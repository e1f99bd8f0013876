"""The tree of children: order, ownership, and which child is marked as the one everything waits for."""

from typing import Any

from bmctl.commands.describe import render
from bmctl.tree import blocking, children

MACHINE_UID = "11111111-2222-3333-4444-555555555555"


def composed(kind: str, role: str, ready: str, synced: str = "True", *, owner: str = MACHINE_UID) -> dict[str, Any]:
    conditions = [
        {"type": type_, "status": status, "reason": reason, "lastTransitionTime": "2026-11-23T10:00:05.500Z"}
        for type_, status, reason in (
            ("Ready", ready, "Available" if ready == "True" else "Creating"),
            ("Synced", synced, "ReconcileSuccess" if synced == "True" else "ReconcileError"),
        )
    ]
    return {
        "kind": kind,
        "metadata": {
            "name": f"bm-01-{role}",
            "annotations": {"crossplane.io/composition-resource-name": role},
            "ownerReferences": [{"controller": True, "uid": owner}],
        },
        "spec": {"forProvider": {}},
        "status": {"conditions": conditions, "atProvider": {}},
    }


def test_children_stand_in_the_order_of_a_provisioning() -> None:
    objects = [
        composed("PowerState", "power", "False"),
        composed("VirtualDisk", "seed", "False"),
        composed("VirtualDisk", "disk-root", "False"),
        composed("ServerClaim", "claim", "True"),
        composed("Volume", "volume-root", "True"),
    ]
    assert [child.role for child in children(MACHINE_UID, objects)] == [
        "claim",
        "volume-root",
        "disk-root",
        "seed",
        "power",
    ]


def test_an_object_of_another_machine_is_no_child() -> None:
    assert children(MACHINE_UID, [composed("Volume", "volume-root", "True", owner="someone-else")]) == []


def test_the_first_child_that_waits_is_the_blocking_one() -> None:
    tree = children(MACHINE_UID, [composed("ServerClaim", "claim", "True"), composed("Volume", "volume-root", "False")])
    stuck = blocking(tree)
    assert stuck is not None
    assert stuck.role == "volume-root"


def test_a_machine_that_goes_waits_for_its_children_in_the_opposite_order() -> None:
    tree = children(MACHINE_UID, [composed("ServerClaim", "claim", "False"), composed("VirtualDisk", "seed", "True")])
    stuck = blocking(tree, leaving=True)
    assert stuck is not None
    assert stuck.role == "seed"


def test_a_failed_reconcile_goes_before_mere_waiting() -> None:
    message = "Logging in to BMC 127.0.0.1: password refused"
    tree = children(MACHINE_UID, [composed("Volume", "volume-root", "False"), _failed_power(message)])
    stuck = blocking(tree)
    assert stuck is not None
    assert stuck.role == "power"
    assert stuck.message == f"ReconcileError: {message}"


def _failed_power(message: str) -> dict[str, Any]:
    power = composed("PowerState", "power", "False", "False")
    power["status"]["conditions"][1]["message"] = message
    return power


def test_nothing_blocks_a_machine_whose_children_are_settled() -> None:
    assert blocking(children(MACHINE_UID, [composed("ServerClaim", "claim", "True")])) is None


def test_describe_marks_exactly_the_blocking_child() -> None:
    machine = {
        "metadata": {
            "name": "bm-01",
            "namespace": "tenant-a",
            "uid": MACHINE_UID,
            "creationTimestamp": "2026-11-23T10:00:00Z",
        },
        "spec": {},
        "status": {
            "printableStatus": "Starting",
            "timeline": [{"step": "ServerBound", "at": "2026-11-23T10:00:00.250Z"}],
        },
    }
    tree = children(MACHINE_UID, [composed("ServerClaim", "claim", "True"), _failed_power("no answer")])
    lines = list(render(machine, tree))
    marked = [line for line in lines if line.startswith("►")]
    assert len(marked) == 1
    assert "PowerState/bm-01-power" in marked[0]
    assert "  ServerBound    +0.2 s" in lines
