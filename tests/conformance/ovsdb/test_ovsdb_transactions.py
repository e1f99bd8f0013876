"""Transactions on a real ovsdb-server: each operation's result counts, and so does what ovs-vswitchd makes of it."""

from dataclasses import replace
from typing import Any

import pytest

from dpu_handler.execution import ports
from dpu_handler.execution.dpu import Dpu
from dpu_handler.execution.observation import observe_ports
from dpu_handler.planning.steps import AddPort, CorrectPort
from dpu_handler.southbound import DeadlineExceeded, NothingToChange, OvsdbOperationFailed
from tests.conformance.ovsdb.conftest import Replica
from tests.conformance.ovsdb.switch import Switch

MAC, OWNER = "52:54:00:aa:bb:01", "11111111-2222-3333-4444-555555555555"
NOTE = {"op": "mutate", "table": "Bridge", "where": [["name", "==", "br0"]]}
NOTED = NOTE | {"mutations": [["external_ids", "insert", ["map", [["note", "done"]]]]]}
UNNOTED = NOTE | {"mutations": [["external_ids", "delete", ["set", ["note"]]]]}

REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "an abort": ({"op": "abort"}, 1, "aborted"),
    "a wait that is not met": (
        {
            "op": "wait",
            "table": "Bridge",
            "where": [["name", "==", "br0"]],
            "columns": ["name"],
            "until": "==",
            "rows": [{"name": "br1"}],
            "timeout": 0,
        },
        1,
        "timed out",
    ),
    "a value out of range": (
        {"op": "update", "table": "Port", "where": [["name", "==", "br0"]], "row": {"tag": 5000}},
        1,
        "constraint violation",
    ),
    # What only the commit finds stands in an element behind those of the operations.
    "a second root": ({"op": "insert", "table": "Open_vSwitch", "row": {}}, 2, "constraint violation"),
    "a reference to nothing": (
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", "br0"]],
            "mutations": [["ports", "insert", ["set", [["uuid", OWNER]]]]],
        },
        2,
        "referential integrity violation",
    ),
}


@pytest.mark.parametrize(("operation", "index", "error"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_failed_operation_is_raised_and_undoes_the_others(
    replica: Replica, switch: Switch, operation: dict[str, Any], index: int, error: str
) -> None:
    with pytest.raises(OvsdbOperationFailed) as failed:
        await replica.client.transact([NOTED, operation])
    # The note's own result is a success in the same list.
    assert (failed.value.index, failed.value.error) == (index, error)
    assert switch.by_hand("--if-exists", "get", "bridge", "br0", "external_ids:note").strip() == ""


async def test_results_stand_one_for_each_operation(replica: Replica, switch: Switch) -> None:
    read = {"op": "select", "table": "Bridge", "where": [["name", "==", "br0"]], "columns": ["name"]}
    assert await replica.client.transact([NOTED, read, UNNOTED]) == [
        {"count": 1},
        {"rows": [{"name": "br0"}]},
        {"count": 1},
    ]


async def test_a_port_takes_one_transaction_and_is_there_after_it(dpu: Dpu, replica: Replica, switch: Switch) -> None:
    replica.requests.clear()
    await ports.add(dpu, AddPort("vm0", 100, MAC, OWNER, 1450))
    assert replica.requests == ["transact"]
    port = (await observe_ports(dpu))["vm0"]
    assert (port.vlan, port.mac, port.owner, port.mtu) == (100, MAC, OWNER, 1450)
    assert port.ofport is not None
    assert port.ofport > 0, "ovs-vswitchd has applied it"
    assert replica.requests == ["transact"], "the replica tells, without a request"


async def test_a_port_is_corrected_and_removed_in_one_transaction_each(
    dpu: Dpu, replica: Replica, switch: Switch
) -> None:
    await ports.add(dpu, AddPort("vm0", 100, MAC, OWNER, 1450))
    replica.requests.clear()
    await ports.correct(dpu, CorrectPort("vm0", 200, MAC, OWNER, 1450))
    assert switch.by_hand("get", "port", "vm0", "tag").strip() == "200"
    await ports.remove(dpu, "vm0")
    assert switch.ports() == []
    await ports.remove(dpu, "vm0")
    assert replica.requests == ["transact", "transact"]


async def test_a_port_that_is_there_is_not_added_twice(dpu: Dpu, switch: Switch) -> None:
    await ports.add(dpu, AddPort("vm0", 100, MAC, OWNER, 1450))
    with pytest.raises(OvsdbOperationFailed) as failed:
        await ports.add(dpu, AddPort("vm0", 200, MAC, OWNER, 1450))
    assert failed.value.error == "constraint violation"
    assert switch.by_hand("get", "port", "vm0", "tag").strip() == "100"


async def test_a_port_for_a_bridge_that_is_not_there_is_a_failure_and_leaves_nothing(dpu: Dpu, switch: Switch) -> None:
    with pytest.raises(NothingToChange, match="bridge br9 does not exist"):
        await ports.add(replace(dpu, bridge="br9"), AddPort("vm0", 100, MAC, OWNER, 1450))
    assert switch.by_hand("--bare", "find", "Interface", "name=vm0").strip() == ""


async def test_a_port_that_went_before_it_was_corrected_is_a_failure(dpu: Dpu) -> None:
    with pytest.raises(NothingToChange, match="vm0"):
        await ports.correct(dpu, CorrectPort("vm0", 200, MAC, OWNER, 1450))


async def test_what_ovs_vswitchd_did_not_apply_in_time_is_open(impatient: Replica, switch: Switch) -> None:
    with switch.switch.frozen(), pytest.raises(DeadlineExceeded, match="ovs-vswitchd") as late:
        await impatient.client.transact_and_apply([NOTED])
    assert late.value.executed == "unknown"
    assert switch.by_hand("get", "bridge", "br0", "external_ids:note").strip() == "done", "it was committed"
    await impatient.client.transact_and_apply([UNNOTED])


async def test_a_server_that_does_not_answer_in_time_leaves_it_open(impatient: Replica, switch: Switch) -> None:
    with switch.server.frozen(), pytest.raises(DeadlineExceeded) as late:
        await impatient.client.transact([NOTED])
    assert late.value.executed == "unknown"
    await impatient.client.transact_and_apply([UNNOTED])
