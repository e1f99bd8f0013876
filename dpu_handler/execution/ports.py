"""Open vSwitch's tables for one port, as operations of a transaction (RFC 7047; columns of ovs-vswitchd.conf.db(5))."""

from typing import Any

from dpu_handler.execution.dpu import Dpu
from dpu_handler.execution.observation import ATTACHED_MAC, OWNER
from dpu_handler.planning.steps import AddPort, CorrectPort
from dpu_handler.southbound import NothingToChange

Operation = dict[str, Any]


async def add(dpu: Dpu, step: AddPort) -> None:
    """Make the port of a NIC; done when ovs-vswitchd has it."""
    ids = {ATTACHED_MAC: step.mac, "iface-id": step.owner, OWNER: step.owner}
    interface = {"name": step.port, "external_ids": _map(ids), "mtu_request": step.mtu}
    await put(dpu, step.port, step.vlan, interface)


async def put(dpu: Dpu, port: str, vlan: int, interface: Operation) -> None:
    """Make any port; done when ovs-vswitchd has it. Raises ``NothingToChange`` where there is no such bridge."""
    *_, put_on_bridge = await dpu.ovsdb.transact_and_apply(insert(dpu.bridge, port, vlan, interface))
    if not put_on_bridge["count"]:
        # Its rows went with the commit, for nothing refers to them.
        raise NothingToChange(
            f"add port {port}",
            f"bridge {dpu.bridge} does not exist on this DPU: make it (ovs-vsctl add-br {dpu.bridge}), "
            "or start the agent with --bridge and the name of the one that is there",
        )


def insert(bridge: str, port: str, vlan: int, interface: Operation) -> list[Operation]:
    """A port with one interface, put on a bridge."""
    return [
        {"op": "insert", "table": "Interface", "row": interface, "uuid-name": "interface"},
        {
            "op": "insert",
            "table": "Port",
            "row": {"name": port, "tag": vlan, "interfaces": ["named-uuid", "interface"]},
            "uuid-name": "port",
        },
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", bridge]],
            "mutations": [["ports", "insert", ["set", [["named-uuid", "port"]]]]],
        },
    ]


async def correct(dpu: Dpu, step: CorrectPort) -> None:
    """Set what was changed."""
    ids = {ATTACHED_MAC: step.mac, "iface-id": step.owner, OWNER: step.owner}
    results = await dpu.ovsdb.transact_and_apply(
        [
            {"op": "update", "table": "Port", "where": [["name", "==", step.port]], "row": {"tag": step.vlan}},
            {
                "op": "update",
                "table": "Interface",
                "where": [["name", "==", step.port]],
                "row": {"external_ids": _map(ids), "mtu_request": step.mtu},
            },
        ]
    )
    if not all(result["count"] for result in results):
        raise NothingToChange(
            f"correct port {step.port}", "it was removed meanwhile: it is added again at the next look"
        )


async def remove(dpu: Dpu, port: str) -> None:
    """Take the port off the bridge; its rows go by themselves, for nothing refers to them any more.

    Without the bridge there is nothing to take it off, which is as well.
    """
    rows = await dpu.ovsdb.rows("Port")
    uuids = [["uuid", str(uuid)] for uuid, row in rows.items() if row["name"] == port]
    if not uuids:
        return
    where = [["name", "==", dpu.bridge]]
    taken = {"op": "mutate", "table": "Bridge", "where": where, "mutations": [["ports", "delete", ["set", uuids]]]}
    await dpu.ovsdb.transact_and_apply([taken])


def _map(values: dict[str, str]) -> list[Any]:
    return ["map", [[key, value] for key, value in values.items()]]
