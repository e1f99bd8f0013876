"""A NIC's plan, carried out by the real executor on a model of the DPU: port and function come back from anything."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpu_handler.execution import ports
from dpu_handler.execution.carrying import carry_out
from dpu_handler.execution.observation import ATTACHED_MAC, OWNER, observe_nics
from dpu_handler.planning import nic as planning
from dpu_handler.planning.nic import NIC
from dpu_handler.planning.steps import AddPort, CorrectPort, PlugNIC, RemovePort, Unplug
from sandbox.fleet.switch import BRIDGE
from tests.unit.dpu_handler.model_dpu import Fault, ModelDpu
from tests.unit.dpu_handler.rounds import Rounds, faults

MAC, OTHER_MAC = "52:54:00:aa:bb:01", "52:54:00:aa:bb:99"
WANTED = NIC("nic-1", 3, "vm0", MAC, 100, 1500)
WANTED_PORT = {
    "tag": 100,
    "external_ids": {ATTACHED_MAC: MAC, "iface-id": "nic-1", OWNER: "nic-1"},
    "mtu_request": 1500,
    "type": "",
}
ROUNDS = Rounds(observe_nics, lambda seen: planning.plan(WANTED, seen), lambda seen: planning.undo(WANTED, seen))


def put_port(model: ModelDpu, name: str, **interface: Any) -> None:
    """A port as somebody else left it."""
    tag = interface.pop("tag", 100)
    port, row = uuid.uuid4(), uuid.uuid4()
    defaults = {"type": "", "link_state": "up", "ofport": 7, "mtu_request": 1500, "external_ids": {}}
    model.tables["Interface"][row] = {"name": name} | defaults | interface
    model.tables["Port"][port] = {"name": name, "tag": tag, "interfaces": [row]}
    (bridge,) = model.tables["Bridge"].values()
    bridge["ports"].append(port)


def put_function(model: ModelDpu, slot: int, representor: str, mac: str) -> None:
    backing = {"representor": representor}
    plugged = {"state": "plugged", "driver_bound": False}
    model.functions[slot] = {"slot": slot, "kind": "virtio_net", "backing": backing, "mac": mac} | plugged


def dpu_with_neighbour(*, powered: bool = False) -> ModelDpu:
    model = ModelDpu(powered=powered)
    put_port(model, "vm1", tag=200, external_ids={OWNER: "nic-2"})
    put_function(model, 4, "vm1", OTHER_MAC)
    return model


def is_joined(model: ModelDpu) -> bool:
    function = model.functions[3]
    return model.port("vm0") == WANTED_PORT and (function["backing"], function["mac"]) == ({"representor": "vm0"}, MAC)


async def test_port_and_function_are_made_together_and_the_function_goes_first() -> None:
    model = dpu_with_neighbour()
    made = await ROUNDS.planned(model)
    assert [[type(step) for step in stage] for stage in made] == [[AddPort, PlugNIC]]
    await carry_out(model.clients(), made)
    assert is_joined(model)
    undone = planning.undo(WANTED, await observe_nics(model.clients()))
    assert [[type(step) for step in stage] for stage in undone] == [[Unplug], [RemovePort]]


async def test_each_step_again_changes_nothing() -> None:
    model = dpu_with_neighbour()
    for decide in (ROUNDS.plan, ROUNDS.undo):
        for stage in decide(await observe_nics(model.clients())):
            await carry_out(model.clients(), (stage,))
            once = model.snapshot()
            await ROUNDS.attempt(model, lambda _, stage=stage: (stage,))  # type: ignore[misc]
            assert model.snapshot() == once


async def test_the_undo_of_each_step_brings_back_what_was_before() -> None:
    model = dpu_with_neighbour()
    ((*steps,),) = await ROUNDS.planned(model)
    for step in steps:
        assert isinstance(step, AddPort | PlugNIC)
        before = model.snapshot()
        await carry_out(model.clients(), ((step,), (step.undo,)))
        assert model.snapshot() == before


@pytest.mark.parametrize("fault", faults(2), ids=str)
async def test_broken_at_any_step_it_is_finished_by_the_next_look(fault: Fault) -> None:
    model = dpu_with_neighbour()
    model.fault = fault
    await ROUNDS.make(model)
    assert is_joined(model)


@pytest.mark.parametrize("fault", faults(2), ids=str)
async def test_broken_at_any_step_it_can_be_unwound_and_unwound_again(fault: Fault) -> None:
    model = dpu_with_neighbour()
    before, model.fault = model.snapshot(), fault
    await ROUNDS.attempt(model, ROUNDS.plan)
    await ROUNDS.unwind(model)
    assert model.snapshot() == before
    assert await ROUNDS.unwind(model) == 0


@pytest.mark.parametrize("fault", faults(2), ids=str)
async def test_unwinding_that_breaks_is_finished_by_the_next_look(fault: Fault) -> None:
    model = dpu_with_neighbour()
    before = model.snapshot()
    await ROUNDS.make(model)
    model.fault = replace(fault, at=fault.at + len(model.changes))
    await ROUNDS.unwind(model)
    assert model.snapshot() == before


ports_left = st.none() | st.fixed_dictionaries(
    {
        "tag": st.sampled_from([None, 100, 200]),
        "mtu_request": st.sampled_from([None, 1500, 9000]),
        "external_ids": st.sampled_from([{}, {OWNER: "nic-0"}, {ATTACHED_MAC: OTHER_MAC, OWNER: "nic-1"}]),
    }
)
functions_left = st.none() | st.tuples(st.sampled_from(["vm0", "vm9"]), st.sampled_from([MAC, OTHER_MAC]))


@given(ports_left, functions_left, st.booleans())
def test_whatever_was_left_or_changed_by_hand_is_put_right(
    port: dict[str, Any] | None, function: tuple[str, str] | None, powered: bool
) -> None:
    model = dpu_with_neighbour(powered=powered)
    neighbour = (model.port("vm1"), model.functions[4])
    if port is not None:
        put_port(model, "vm0", **port)
    if function is not None:
        put_function(model, 3, *function)
    asyncio.run(ROUNDS.make(model))
    assert is_joined(model)
    assert (model.port("vm1"), model.functions[4]) == neighbour


@pytest.mark.parametrize(
    "changed",
    [
        {"tag": 200},
        {"tag": None},
        {"mtu_request": 9000},
        {"external_ids": {ATTACHED_MAC: OTHER_MAC, OWNER: "nic-1"}},
        {"external_ids": {}},
    ],
    ids=str,
)
async def test_a_port_that_was_changed_by_hand_is_corrected_below_the_running_server(changed: dict[str, Any]) -> None:
    model = dpu_with_neighbour(powered=True)
    await ROUNDS.make(model)
    for table in ("Port", "Interface"):
        for row in model.tables[table].values():
            if row["name"] == "vm0":
                row.update({key: value for key, value in changed.items() if key in row})
    ((step,),) = await ROUNDS.planned(model)
    assert step == CorrectPort("vm0", 100, MAC, "nic-1", 1500)
    await ROUNDS.make(model)
    assert is_joined(model)
    assert "emulation_unplug" not in model.changes


async def test_a_port_that_was_removed_is_put_back_below_the_running_server() -> None:
    model = dpu_with_neighbour(powered=True)
    await ROUNDS.make(model)
    await ports.remove(model.clients(), "vm0")
    assert model.ports() == ["vm1"]
    ((step,),) = await ROUNDS.planned(model)
    assert isinstance(step, AddPort)
    await ROUNDS.make(model)
    assert is_joined(model)


async def test_a_port_that_another_nic_took_over_is_left_to_it() -> None:
    model = dpu_with_neighbour()
    await ROUNDS.make(model)
    await ROUNDS.attempt(model, lambda _: ((CorrectPort("vm0", 100, MAC, "nic-2", 1500),),))
    await ROUNDS.unwind(model)
    assert model.ports() == ["vm0", "vm1"]


async def test_a_server_that_clings_to_its_nic_keeps_the_port() -> None:
    model = dpu_with_neighbour(powered=True)
    await ROUNDS.make(model)
    model.clinging = {3}
    await ROUNDS.attempt(model, ROUNDS.undo)
    assert is_joined(model)
    model.powered = False
    await ROUNDS.unwind(model)
    assert model.ports() == ["vm1"]


def test_a_new_port_is_made_in_one_transaction() -> None:
    """Three rows that refer to each other by name: OVSDB keeps none of them alone (RFC 7047, 5.2.1)."""
    operations = ports.insert(BRIDGE, "vm0", 100, {"name": "vm0"})
    assert [(operation["op"], operation["table"]) for operation in operations] == [
        ("insert", "Interface"),
        ("insert", "Port"),
        ("mutate", "Bridge"),
    ]
    assert operations[1]["row"]["interfaces"] == ["named-uuid", operations[0]["uuid-name"]]
    assert operations[2]["mutations"] == [["ports", "insert", ["set", [["named-uuid", operations[1]["uuid-name"]]]]]]
