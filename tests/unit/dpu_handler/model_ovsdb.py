"""Open vSwitch's database as light servers have it, cut off where a test says so."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dpu_handler.southbound import ConnectionLost
from sandbox.fleet.switch import Row, RowsOfSwitch, Tables


class ModelOvsdb(RowsOfSwitch):
    """``change`` is asked before each transaction; True: its reply is lost."""

    def __init__(self, tables: Tables, change: Callable[[str], bool]) -> None:
        super().__init__(tables)
        self._change = change

    async def transact_and_apply(self, operations: Sequence[Mapping[str, Any]]) -> list[Row]:
        lost = self._change("transact")
        results = await super().transact_and_apply(operations)
        if lost:
            raise ConnectionLost("transact", executed="unknown")
        return results
