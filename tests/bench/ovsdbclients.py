"""OVSDB clients side by side, against an ovsdb-server and an ovs-vswitchd of their own, as a DPU has them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import ovs.json

from tests.bench.clients.ovsdb import PORT
from tests.bench.comparison import BRIEF, COLUMNS, add_rows
from tests.bench.options import Options
from tests.bench.progress import say
from tests.bench.report import Report
from tests.bench.turns import Client, Load, clients, take_turns
from tests.bench.waiting import BenchFailed
from tests.conformance.ovsdb.switch import Switch

_LABELS = {
    "ovsdb-native": "native",
    "ovsdb-plain": "plain Python",
    "ovsdb-idl": "PyPI ovs, IDL",
    "ovsdb-vsctl": "ovs-vsctl",
}
_LOADS = [Load(name, in_flight) for name in ("unapplied", "applied") for in_flight in (1, 16)]
_SLICE_S = 0.3


def measure(report: Report, options: Options) -> None:
    """Measure with a switch that is made for it, and report."""
    say("OVSDB clients against ovsdb-server and ovs-vswitchd")
    with tempfile.TemporaryDirectory(prefix="mpb-") as temporary:
        switch = Switch(Path(temporary))
        try:
            switch.start()
            switch.add_port(PORT)
            target = {load.name: str(switch.socket) for load in _LOADS}
            with clients(dict.fromkeys(_LABELS, target)) as runners:
                _check(switch, runners)
                found = take_turns(runners, _LOADS, options.samples, _SLICE_S)
        finally:
            switch.stop()
    section = report.section("OVSDB clients: the VLAN tag of a port, one transaction each", *COLUMNS, brief=BRIEF)
    add_rows(section, found, _LABELS, baseline="ovsdb-idl", server="OVSDB")
    section.notes.append(
        "unapplied: the transaction is committed (ovs-vsctl --no-wait). applied: ovs-vswitchd has taken it over."
        " Numbers: in flight. Speed and CPU saved: times those of PyPI's IDL, in pairs of the same round; its JSON"
        f" parser, as pip builds it, is {ovs.json.PARSER}."
    )
    section.notes.append("CPU: user and system time of the client's process and of its commands, without the servers'.")


def _check(switch: Switch, runners: Mapping[str, Client]) -> None:
    """All clients do the same: what each says that it has set is there."""
    for name, runner in runners.items():
        for load in dict.fromkeys(load.name for load in _LOADS):
            said = runner.answer(load)
            if (there := int(switch.by_hand("get", "port", PORT, "tag"))) != said:
                raise BenchFailed(f"Setting a tag with {name}", cause=f"it said {said}, and the tag is {there}")
