"""What the benchmark of clients counts by itself: rates, CPU, ratios in pairs, the lean peer's replies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.clients.peer import answers
from tests.bench.comparison import COLUMNS, add_rows
from tests.bench.report import Figure, Section
from tests.bench.turns import Load, Slice, cheaper, faster

FAST, SLOW = Slice(400, 2.0, 0.5), Slice(100, 2.0, 1.0)
REQUESTS = [
    *(json.dumps({"jsonrpc": "2.0", "id": id_, "method": "bdev_get_bdevs"}) for id_ in (1, 22)),
    json.dumps({"jsonrpc": "2.0", "method": "spdk_get_version", "id": 333}, indent=2),
    '{"jsonrpc":"2.0","id":4444,"method":"spdk_get_version"}',
]


def test_a_slice_knows_its_rate_and_the_cpu_of_one_operation() -> None:
    assert (FAST.rate, FAST.cpu_us) == (200, 1250)


def test_ratios_are_taken_round_by_round() -> None:
    assert faster([FAST, SLOW], [SLOW, SLOW]) == (4, 1)
    assert cheaper([FAST, SLOW], [SLOW, SLOW]) == (8, 1)


def test_ratios_of_unequal_numbers_of_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        faster([FAST, FAST], [SLOW])


def test_each_client_is_a_row_of_each_load_and_the_baseline_has_no_ratio() -> None:
    section, loads = Section("", COLUMNS), (Load("small", 1), Load("small", 64))
    found = {(client, load): [slice_] for client, slice_ in (("a", FAST), ("b", SLOW)) for load in loads}
    add_rows(section, found, {"a": "ours", "b": "theirs"}, baseline="b", server="it")
    assert [label for label, _ in section.rows] == [
        *("small, 1: ours", "small, 1: theirs"),
        *("small, 64: ours", "small, 64: theirs"),
    ]
    ours, theirs = (figures for _, figures in section.rows[:2])
    assert [figure.median for figure in ours if figure] == [200, 1250, 4, 8]
    assert [figure.median for figure in theirs if figure] == [50, 10000]


def test_a_spread_names_its_unit_once_and_is_missing_where_there_is_none() -> None:
    assert Figure("", "x", (2.0, 3.0, 4.5)).spread() == "2.00 .. 4.50 x"
    assert Figure("", "op/s", (1234.56,)).text() == "1235 op/s"
    assert Figure("", "x", (2.0, 2.0)).spread() == ""


@given(st.lists(st.sampled_from(REQUESTS), max_size=8), st.integers(1, 60))
def test_the_lean_peer_answers_each_request_once_however_the_stream_is_cut(requests: list[str], cut: int) -> None:
    stream, replies, unread = "".join(requests).encode(), b"", b""
    for start in range(0, len(stream), cut):
        more, unread = answers(unread + stream[start : start + cut], b"[7]")
        replies += more
    wanted = [{"jsonrpc": "2.0", "id": json.loads(request)["id"], "result": [7]} for request in requests]
    assert [json.loads(line) for line in replies.splitlines()] == wanted
