"""Rows of an Open vSwitch database, behind the agent's own client: three tables, and the operations that it sends.

Rows that nothing refers to go, as in the real schema (ovs-vswitchd.conf.db(5)); what ovs-vswitchd would fill in is
there at once.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from dpu_handler.southbound import OvsdbClient, OvsdbOperationFailed

BRIDGE = "br0"

Row = dict[str, Any]
Tables = dict[str, dict[UUID, Row]]


def empty_tables() -> Tables:
    """A bridge without ports."""
    return {"Bridge": {uuid.uuid4(): {"name": BRIDGE, "ports": []}}, "Port": {}, "Interface": {}}


class RowsOfSwitch(OvsdbClient):
    """``link_is_up`` says of an interface, by its name, whether it has a carrier; without it, each has one."""

    def __init__(self, tables: Tables | None = None, link_is_up: Callable[[str], bool] | None = None) -> None:
        self.tables = empty_tables() if tables is None else tables
        self._link_is_up = link_is_up

    def close(self) -> None:
        """Nothing is open."""

    async def rows(self, table: str) -> dict[UUID, Row]:
        """The rows of a table, by UUID."""
        if table == "Interface" and self._link_is_up is not None:
            for row in self.tables[table].values():
                row["link_state"] = "up" if self._link_is_up(row["name"]) else "down"
        return self.tables[table]

    async def transact_and_apply(self, operations: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Results of one transaction, one for each operation."""
        named: dict[str, UUID] = {}
        results = [
            getattr(self, f"_{operation['op']}")(number, operation, named)
            for number, operation in enumerate(operations)
        ]
        self._collect()
        return results

    def _insert(self, number: int, operation: Mapping[str, Any], named: dict[str, UUID]) -> Row:
        row = dict(operation["row"])
        table = self.tables[operation["table"]]
        if any(each["name"] == row["name"] for each in table.values()):
            raise OvsdbOperationFailed(number, "constraint violation", f"two rows of {operation['table']}")
        if operation["table"] == "Port":
            row["interfaces"] = [named[row["interfaces"][1]]]
        else:
            external_ids = dict(row.pop("external_ids", ["map", []])[1])
            defaults = {"type": "", "link_state": "up", "ofport": 1, "mtu_request": None}
            row = {**defaults, **row, "external_ids": external_ids}
        named[operation["uuid-name"]] = made = uuid.uuid4()
        table[made] = row
        return {"uuid": ["uuid", str(made)]}

    def _mutate(self, _: int, operation: Mapping[str, Any], named: dict[str, UUID]) -> Row:
        ((_name, _equals, name),) = operation["where"]
        bridges = [bridge for bridge in self.tables["Bridge"].values() if bridge["name"] == name]
        for bridge in bridges:
            self._put(bridge, operation, named)
        return {"count": len(bridges)}

    def _put(self, bridge: Row, operation: Mapping[str, Any], named: dict[str, UUID]) -> None:
        ((column, verb, (_set, members)),) = operation["mutations"]
        uuids = [named[value] if kind == "named-uuid" else UUID(value) for kind, value in members]
        kept = [each for each in bridge[column] if each not in uuids]
        bridge[column] = [*kept, *uuids] if verb == "insert" else kept

    def _update(self, _: int, operation: Mapping[str, Any], __: dict[str, UUID]) -> Row:
        ((column, _equals, value),) = operation["where"]
        rows = [row for row in self.tables[operation["table"]].values() if row[column] == value]
        for row in rows:
            changed = dict(operation["row"])
            if "external_ids" in changed:
                changed["external_ids"] = dict(changed["external_ids"][1])
            row.update(changed)
        return {"count": len(rows)}

    def _collect(self) -> None:
        tables = self.tables
        on_bridges = {each for bridge in tables["Bridge"].values() for each in bridge["ports"]}
        tables["Port"] = {key: row for key, row in tables["Port"].items() if key in on_bridges}
        used = {each for row in tables["Port"].values() for each in row["interfaces"]}
        tables["Interface"] = {key: row for key, row in tables["Interface"].items() if key in used}
