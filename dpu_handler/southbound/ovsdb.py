"""Open vSwitch's database (RFC 7047): a replica of the tables that matter, and transactions that are checked."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any, TypeVar
from uuid import UUID

from dpu_handler import _native
from dpu_handler.southbound.connection import RequestTracer, request
from dpu_handler.southbound.errors import DeadlineExceeded, NotInitialised, RpcRefused

Row = dict[str, Any]
T = TypeVar("T")
Operation = Mapping[str, Any]

DATABASE = "Open_vSwitch"
_TIMEOUT_S = 10.0


class OvsdbClient:
    """One persistent connection. ``tables`` names the columns to keep a replica of.

    After a loss the next call connects again and takes the whole content anew: a standalone database keeps no history
    to continue from. ``changed`` is called when replicated rows change and when the connection is lost.
    """

    def __init__(
        self,
        socket_path: str | PathLike[str],
        tables: Mapping[str, Sequence[str]],
        *,
        changed: Callable[[], None] | None = None,
        tracer: RequestTracer | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._connection = _native.OvsdbConnection(socket_path, self._heard)
        self._tables = {table: list(columns) for table, columns in tables.items()}
        self._tables.setdefault("Open_vSwitch", [])
        # Not next_cfg: each of our own transactions would come back as news of it.
        self._tables["Open_vSwitch"] = sorted({*self._tables["Open_vSwitch"], "cur_cfg"})
        self._changed = changed
        self._tracer = tracer
        self._timeout_s = timeout_s
        self._monitoring = False
        self._losses = 0
        self._numbers = itertools.count(1)
        self._abandoned: set[str] = set()
        self._starting = asyncio.Lock()
        self._news = asyncio.Event()

    async def rows(self, table: str) -> dict[UUID, Row]:
        """The replicated rows of a table, by UUID; connects first if need be."""
        await self._monitor()
        return self._connection.rows(table)

    async def transact(self, operations: Sequence[Operation]) -> list[Row]:
        """Results of one transaction, one for each operation.

        Raises ``OvsdbOperationFailed`` for the first that failed: its error stands inside a result list whose top-level
        error is null, and nothing of the transaction was carried out.
        """
        await self._monitor()
        return await self._send(
            "transact", lambda id_: self._connection.transact(id_, DATABASE, operations, self._timeout_s)
        )

    async def transact_and_apply(self, operations: Sequence[Operation]) -> list[Row]:
        """As ``transact``, and wait until ovs-vswitchd has applied it: until ``cur_cfg`` reaches our ``next_cfg``.

        Raises ``NotInitialised`` where the database was made anew and nobody has filled it yet.
        """
        root, _ = await self._root("transact")
        where = [["_uuid", "==", ["uuid", str(root)]]]
        bump = {"op": "mutate", "table": "Open_vSwitch", "where": where, "mutations": [["next_cfg", "+=", 1]]}
        read = {"op": "select", "table": "Open_vSwitch", "where": where, "columns": ["next_cfg"]}
        *results, _, selected = await self.transact([*operations, bump, read])
        if not selected["rows"]:
            raise NotInitialised("transact")
        await self._applied(selected["rows"][0]["next_cfg"])
        return results

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    async def _root(self, method: str) -> tuple[UUID, Row]:
        for uuid, row in (await self.rows("Open_vSwitch")).items():
            return uuid, row
        raise NotInitialised(method)

    async def _applied(self, wanted: int) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    self._news.clear()
                    _, root = await self._root("waiting for ovs-vswitchd")
                    if root["cur_cfg"] >= wanted:
                        return
                    await self._news.wait()
        except TimeoutError as error:
            raise DeadlineExceeded("waiting for ovs-vswitchd", self._timeout_s, executed="unknown") from error

    async def _monitor(self) -> None:
        """Have a replica: schema and snapshot, once for each connection."""
        async with self._starting:
            if self._monitoring:
                return
            losses = self._losses
            await self._cancel_abandoned()
            await self._send(
                "get_schema", lambda id_: self._connection.load_schema(id_, DATABASE, self._tables, self._timeout_s)
            )
            await self._follow(f"metalplane-{next(self._numbers)}")
            self._monitoring = losses == self._losses

    async def _follow(self, monitor: str) -> None:
        # Who asks may be cancelled, or the reply be late, and the server has the monitor all the same: under the same
        # id the next attempt, and every one after it, would be refused as a duplicate.
        self._abandoned.add(monitor)
        await self._send(
            "monitor_cond",
            lambda id_: self._connection.monitor(id_, DATABASE, monitor, self._tables, self._timeout_s),
        )
        self._abandoned.discard(monitor)

    async def _cancel_abandoned(self) -> None:
        for monitor in sorted(self._abandoned):
            # Refused: the server never came to have it.
            with suppress(RpcRefused):
                await self._cancel(monitor)
            self._abandoned.discard(monitor)

    async def _cancel(self, monitor: str) -> None:
        await self._send(
            "monitor_cancel", lambda id_: self._connection.call(id_, "monitor_cancel", [monitor], self._timeout_s)
        )

    async def _send(self, method: str, send: Callable[[int], "asyncio.Future[T]"]) -> T:
        return await request(
            self._connection, send, system="ovsdb", method=method, timeout_s=self._timeout_s, tracer=self._tracer
        )

    def _heard(self, lost: str | None) -> None:
        if lost is not None:
            self._monitoring = False
            self._losses += 1
            self._abandoned.clear()
        self._news.set()
        if self._changed is not None:
            self._changed()
