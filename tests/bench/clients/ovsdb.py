"""Four ways of changing Open vSwitch's database: an operation sets the VLAN tag of one port, a transaction each.

    Native   our client: ``transact``, and ``transact_and_apply``
    Idl      the IDL of PyPI's package ``ovs``: several transactions may be under way, one ``Idl`` carries them
    Vsctl    the command ``ovs-vsctl``, a process each time
    Plain    a blocking socket and ``json``

Loads: ``unapplied`` returns when the transaction is committed, ``applied`` when ovs-vswitchd has taken it over
(``cur_cfg`` has reached the ``next_cfg`` of the transaction). TARGETS names the database's socket for each. The answer
of an operation is the tag that it has set.
"""

import asyncio
import itertools
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ovs.db.idl
import ovs.poller

from dpu_handler.southbound import OvsdbClient

PORT = "vm0"

_DATABASE = "Open_vSwitch"
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_TIMEOUT_S = 20
_READ_BYTES = 64 * 1024


def _tags(client: int) -> Iterator[int]:
    """Each client has tags of its own: to set one that is there already would change nothing."""
    return itertools.cycle(range(1 + 1000 * client, 1000 + 1000 * client))


def _set_tag(tag: int) -> dict[str, Any]:
    return {"op": "update", "table": "Port", "where": [["name", "==", PORT]], "row": {"tag": tag}}


class Native:
    """One connection for all, as an agent has."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._tags = _tags(0)
        self._clients = {load: OvsdbClient(path, {}) for load, path in sockets.items()}
        self._runner = asyncio.Runner()

    def answer(self, load: str) -> int:
        return self._runner.run(self._change(load))

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        return self._runner.run(self._ask(load, in_flight, seconds))

    async def _ask(self, load: str, in_flight: int, seconds: float) -> int:
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            if in_flight == 1:
                await self._change(load)
            else:
                await asyncio.gather(*(self._change(load) for _ in range(in_flight)))
            done += in_flight
        return done

    async def _change(self, load: str) -> int:
        client, tag = self._clients[load], next(self._tags)
        if load == "applied":
            await client.transact_and_apply([_set_tag(tag)])
        else:
            await client.transact([_set_tag(tag)])
        return tag


class Idl:
    """A replica of the rows that are needed, and its transactions."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._tags = _tags(1)
        schema = ovs.db.idl.SchemaHelper(str(_SCHEMA))
        schema.register_columns("Port", ["name", "tag"])
        schema.register_columns(_DATABASE, ["next_cfg", "cur_cfg"])
        self._idl = ovs.db.idl.Idl(f"unix:{sockets['applied']}", schema)
        while not self._idl.has_ever_connected():
            self._turn([])
        (self._root,) = self._idl.tables[_DATABASE].rows.values()
        (self._port,) = (row for row in self._idl.tables["Port"].rows.values() if row.name == PORT)

    def answer(self, load: str) -> int:
        (tag,) = self._change(load, 1)
        return tag

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            done += len(self._change(load, in_flight))
        return done

    def _change(self, load: str, count: int) -> list[int]:
        tags = [next(self._tags) for _ in range(count)]
        under_way = [self._begin(load, tag) for tag in tags]
        while any(each.commit() == each.INCOMPLETE for each in under_way):
            self._turn(under_way)
        if refused := [each for each in under_way if each.commit() != each.SUCCESS]:
            raise RuntimeError(f"{len(refused)} transactions: {refused[0].get_error()}")
        if load == "applied":
            wanted = max(each.get_increment_new_value() for each in under_way)
            while self._root.cur_cfg < wanted:
                self._turn([])
        return tags

    def _begin(self, load: str, tag: int) -> Any:
        transaction = ovs.db.idl.Transaction(self._idl)
        self._port.tag = tag
        if load == "applied":
            self._root.increment("next_cfg")
        transaction.commit()
        return transaction

    def _turn(self, under_way: Sequence[Any]) -> None:
        """Wait for something to happen, unless it has, and take it in."""
        if self._idl.run():
            return
        poller = ovs.poller.Poller()
        self._idl.wait(poller)
        for each in under_way:
            each.wait(poller)
        poller.block()


class Vsctl:
    """What an administrator types."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._tags = _tags(2)
        self._sockets = sockets

    def answer(self, load: str) -> int:
        (tag,) = self._change(load, 1)
        return tag

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            done += len(self._change(load, in_flight))
        return done

    def _change(self, load: str, count: int) -> list[int]:
        tags = [next(self._tags) for _ in range(count)]
        running = [subprocess.Popen(self._command(load, tag)) for tag in tags]
        if codes := [code for code in (process.wait() for process in running) if code]:
            raise RuntimeError(f"ovs-vsctl ended with {codes}")
        return tags

    def _command(self, load: str, tag: int) -> list[str]:
        wait = [] if load == "applied" else ["--no-wait"]
        options = [f"--db=unix:{self._sockets[load]}", f"--timeout={_TIMEOUT_S}", *wait]
        return ["ovs-vsctl", *options, "set", "port", PORT, f"tag={tag}"]


class Plain:
    """RFC 7047 by hand: requests in one piece, messages read as they come."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._tags = _tags(3)
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.connect(sockets["applied"])
        self._messages = self._read()
        self._numbers = itertools.count(1)
        watched = {_DATABASE: [{"columns": ["cur_cfg"]}]}
        (snapshot,) = self._call("monitor", [[_DATABASE, None, watched]])
        ((self._root, row),) = snapshot[_DATABASE].items()
        self._applied: int = row["new"]["cur_cfg"]

    def answer(self, load: str) -> int:
        (tag,) = self._change(load, 1)
        return tag

    def run(self, load: str, in_flight: int, seconds: float) -> int:
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            done += len(self._change(load, in_flight))
        return done

    def _change(self, load: str, count: int) -> list[int]:
        tags = [next(self._tags) for _ in range(count)]
        more = self._bump() if load == "applied" else []
        changes = [[_DATABASE, _set_tag(tag), *more] for tag in tags]
        outcomes = self._call("transact", changes)
        if load == "applied":
            wanted = max(results[-1]["rows"][0]["next_cfg"] for results in outcomes)
            while self._applied < wanted:
                self._take(next(self._messages))
        return tags

    def _bump(self) -> list[dict[str, Any]]:
        row = {"table": _DATABASE, "where": [["_uuid", "==", ["uuid", self._root]]]}
        mutate = {"op": "mutate", **row, "mutations": [["next_cfg", "+=", 1]]}
        return [mutate, {"op": "select", **row, "columns": ["next_cfg"]}]

    def _call(self, method: str, calls: Sequence[Any]) -> list[Any]:
        ids = [next(self._numbers) for _ in calls]
        requests = ({"id": id_, "method": method, "params": params} for id_, params in zip(ids, calls, strict=True))
        self._wire.sendall("".join(map(json.dumps, requests)).encode())
        results: dict[int, Any] = {}
        while len(results) < len(ids):
            message = next(self._messages)
            if message["id"] is None:
                self._take(message)
            else:
                results[message["id"]] = message["result"]
        return [results[id_] for id_ in ids]

    def _take(self, update: dict[str, Any]) -> None:
        rows = update["params"][1].get(_DATABASE, {})
        self._applied = max([self._applied, *(row["new"]["cur_cfg"] for row in rows.values())])

    def _read(self) -> Iterator[dict[str, Any]]:
        """The server's messages: JSON objects, one behind the other."""
        decoder, text = json.JSONDecoder(), ""
        while True:
            while text:
                try:
                    message, end = decoder.raw_decode(text)
                except ValueError:
                    break
                text = text[end:].lstrip()
                yield message
            text += self._wire.recv(_READ_BYTES).decode()
