"""What the figures of the imperative side count by themselves: sightings, the volume's part of a way, keys."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.guestwatch import Lines, Sighting
from tests.bench.keystrokes import typed
from tests.bench.plugway import Plug, Way, way
from tests.bench.spans import Span
from tests.bench.waiting import BenchFailed

MS = 1_000_000
CONSOLE = (
    b"bm-01 login: watch: + /sys/block/no\r\nwatch: + /sys/block/vdc\r\n\xff noise\r\nwatch: - /sys/class/net/eth1\r\n"
)
SEEN = [("+", "/sys/block/vdc"), ("-", "/sys/class/net/eth1")]


def test_a_sighting_has_the_time_at_which_its_line_was_whole() -> None:
    lines = Lines()
    assert lines.feed(b"watch: + /sys/block/vd", 1) == []
    assert lines.feed(b"c\r\nwatch: * ma", 2) == [Sighting("+", "/sys/block/vdc", 2)]
    assert lines.feed(b"rk\r\n", 3) == [Sighting("*", "mark", 3)]


@given(st.lists(st.integers(0, len(CONSOLE)), max_size=8))
def test_sightings_are_the_same_however_the_console_comes(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CONSOLE)]
    lines = Lines()
    found = [each for a, b in pairwise(edges) for each in lines.feed(CONSOLE[a:b], b)]
    assert [(each.sign, each.entry) for each in found] == SEEN


def span(name: str, start_ms: int, end_ms: int, *, object_: str = "", parent: str = "") -> Span:
    attributes: dict[str, object] = {"k8s.object": object_} if object_ else {}
    return Span(name, f"{name}@{start_ms}", parent, start_ms * MS, end_ms * MS, attributes)


PLUG = Plug(100 * MS, 2000 * MS)
COMPOSING = span("reconcile BareMetalMachine", 110, 300)
DISK = [
    COMPOSING,
    span("reconcile VirtualDisk", 120, 1950, object_="seed"),
    span("kube apply VirtualDisk/hot", 150, 200, object_="hot", parent=COMPOSING.span_id),
    span("reconcile VirtualDisk", 210, 400, object_="hot"),
    span("reconcile VirtualDisk", 800, 900, object_="hot"),
    span("kube patch VolumeAttachment/a", 1000, 1100, object_="a"),
    span("kube patch VolumeAttachment/a", 1300, 1400, object_="a"),
    span("reconcile VirtualDisk", 1410, 1500, object_="hot"),
    span("spdk bdev_nvme_attach_controller", 1550, 1650),
    span("emulation emulation_plug", 1700, 1750),
    span("kube patch VolumeAttachment/a", 1800, 1900, object_="a"),
]


def test_a_staged_volume_is_neither_waited_for_nor_staged() -> None:
    waited, staging = 1400 - 400, 1650 - 1550
    assert way(DISK, PLUG) == Way(1900, 1900 - waited - staging, 300)


def test_a_volume_that_is_attached_before_the_disk_is_looked_at_is_not_waited_for() -> None:
    early = [each for each in DISK if not each.name.startswith("kube patch")]
    early.append(span("kube patch VolumeAttachment/a", 380, 399, object_="a"))
    assert way(early, PLUG).staged_ms == 1900 - 100


def test_what_came_before_or_after_is_of_another_device() -> None:
    others = [span("spdk bdev_nvme_attach_controller", 10, 90), span("emulation emulation_plug", 2000, 2100)]
    assert way([*others, *DISK], PLUG) == way(DISK, PLUG)


def test_the_whole_way_of_a_nic_counts() -> None:
    assert way([COMPOSING, span("emulation emulation_plug", 1700, 1750)], PLUG) == Way(1900, 1900, 300)


def test_a_device_that_nobody_plugged_has_no_way() -> None:
    with pytest.raises(BenchFailed, match="no request that plugged it"):
        way([each for each in DISK if each.name != "emulation emulation_plug"], PLUG)


ECHO = """
import os, tty
tty.setraw(0)
os.write(1, b"login: ")
while key := os.read(0, 1):
    os.write(1, {b"x": b"x", b"\\x7f": b"\\b \\b"}.get(key, b""))
"""


def test_each_key_is_counted_once() -> None:
    assert len(typed([sys.executable, "-c", ECHO], 5)) == 5


def test_a_console_that_does_not_echo_fails_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.keystrokes.OPEN_S", 0.0)
    with pytest.raises(BenchFailed, match=r"an echo through .*never-there"):
        typed([sys.executable, "-c", "pass", "never-there"], 1)
