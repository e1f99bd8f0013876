"""Framing and dispatch on the wire: what is closed in silence, what is answered how, and when."""

import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.spdk.targets import STORAGE_SOCKET, Targets, short_directory, stand_in
from tests.conformance.spdk.wire import Refused, Wire

POLL_S = 0.004
"""How often a target looks at its socket: it sends the replies of one look with the next."""

VERSION = b'{"jsonrpc":"2.0","id":1,"method":"spdk_get_version"}'
NEVER_READ = {
    "no JSON": b"hello\n",
    "half a document that cannot become one": b'{"jsonrpc": "2.0", id}',
    "65 levels": b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + b"[" * 65 + b"]" * 65 + b"}",
    "more than 8192 values": b'{"jsonrpc":"2.0","id":1,"method":"m","params":[' + b"1," * 8200 + b"1]}",
    "invalid UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
}


@pytest.fixture
def stock() -> Iterator[Wire]:
    """A target that polls its socket every 4 ms: a given one does, and so does a stand-in unless told otherwise."""
    given = os.environ.get(STORAGE_SOCKET)
    if given:
        with Wire(Path(given)) as wire:
            yield wire
        return
    with short_directory() as directory, stand_in(directory, fast=False) as target, Wire(target.socket) as wire:
        yield wire


def test_an_unknown_method_is_refused_by_name(storage: Wire) -> None:
    with pytest.raises(Refused) as refused:
        storage.call("bdev_ocf_create")
    assert refused.value.error == {"code": -32601, "message": "Method not found"}


@pytest.mark.parametrize("data", NEVER_READ.values(), ids=NEVER_READ.keys())
def test_what_cannot_be_read_closes_the_connection_in_silence(storage: Wire, data: bytes) -> None:
    storage.send(data)
    assert storage.line() == b""


def test_a_request_beyond_256_kib_resets_the_connection(storage: Wire) -> None:
    endless = b'{"jsonrpc":"2.0","id":1,"method":"m","params":["' + b"x" * (16 << 20)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        storage.send(endless)


def test_replies_are_one_compact_line_each(storage: Wire) -> None:
    storage.send(VERSION)
    line = storage.line()
    assert line == json.dumps(json.loads(line), separators=(",", ":")).encode() + b"\n"
    assert list(json.loads(line)) == ["jsonrpc", "id", "result"]


@pytest.mark.parametrize("request_id", [7, "seven", -1])
def test_an_id_comes_back_as_it_was_sent(storage: Wire, request_id: object) -> None:
    reply = storage.exchange({"jsonrpc": "2.0", "id": request_id, "method": "spdk_get_version"})
    assert reply["id"] == request_id


def test_pipelined_requests_are_answered_by_id(storage: Wire) -> None:
    slow = {"jsonrpc": "2.0", "id": 0, "method": "bdev_get_bdevs", "params": {"name": "later", "timeout": 200}}
    quick = [{"jsonrpc": "2.0", "id": number, "method": "nosuch"} for number in range(1, 33)]
    storage.send(b"".join(json.dumps(request).encode() for request in [slow, *quick]))
    replies = [json.loads(storage.line()) for _ in range(33)]
    assert {reply["id"]: reply["error"]["code"] for reply in replies} == {0: -110} | dict.fromkeys(range(1, 33), -32601)
    assert replies[-1]["id"] == 0, "the slow one was overtaken by none"


def test_a_batch_is_answered_by_one_array(storage: Wire) -> None:
    calls = [{"jsonrpc": "2.0", "id": number, "method": "spdk_get_version"} for number in (1, 2)]
    storage.send(json.dumps(calls).encode())
    replies = json.loads(storage.line())
    assert sorted(reply["id"] for reply in replies) == [1, 2]


def test_a_request_in_pieces_is_one_request(storage: Wire) -> None:
    for piece in (VERSION[:9], VERSION[9:30], VERSION[30:]):
        storage.send(piece)
    assert json.loads(storage.line())["id"] == 1


def test_a_request_whose_client_left_is_executed(spdk_targets: Targets, storage: Wire) -> None:
    nqn = "nqn.2026-01.lab:left"
    create = {"jsonrpc": "2.0", "id": 1, "method": "nvmf_create_subsystem", "params": {"nqn": nqn}}
    with Wire(spdk_targets.storage) as leaving:
        leaving.send(json.dumps(create).encode())
    deadline = time.monotonic() + 5
    while nqn not in (entry["nqn"] for entry in storage.call("nvmf_get_subsystems")):
        assert time.monotonic() < deadline, "never executed"
    storage.call("nvmf_delete_subsystem", nqn=nqn)


def test_a_stock_target_answers_two_polls_later(stock: Wire) -> None:
    assert statistics.median(_seconds_of_a_call(stock) for _ in range(20)) > POLL_S


@pytest.mark.skipif(STORAGE_SOCKET in os.environ, reason="a stand-in's option")
def test_a_fast_stand_in_waits_for_no_poll(storage: Wire) -> None:
    assert min(_seconds_of_a_call(storage) for _ in range(50)) < POLL_S


def test_requests_of_one_poll_are_answered_in_one(stock: Wire) -> None:
    began = time.perf_counter()
    stock.send(VERSION * 32)
    assert all(stock.line() for _ in range(32))
    assert time.perf_counter() - began < 32 * POLL_S


def _seconds_of_a_call(wire: Wire) -> float:
    began = time.perf_counter()
    wire.call("spdk_get_version")
    return time.perf_counter() - began
