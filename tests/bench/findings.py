"""From samples to a report: which figures there are, what they are called, and what stands beside what."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tests.bench.footprint import Footprint
from tests.bench.ironicflow import Deployed
from tests.bench.provisioning import Deleted, Provisioned
from tests.bench.report import Figure, Report
from tests.bench.roundtrips import OPERATIONS, Request, rounds, story
from tests.bench.writes import Write, by_kind


@dataclass(frozen=True, slots=True)
class Sample:
    """One bare boot, one deployment and the machine after them; ``requests`` by the operation's name."""

    bare_s: float
    deployed: Deployed
    created: Provisioned
    deleted: Deleted
    requests: dict[str, list[Request]]
    writes_create: list[Write]
    writes_delete: list[Write]


@dataclass(slots=True)
class Findings:
    """Everything that boots have shown."""

    rest_s: float
    samples: list[Sample] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    writes_at_rest: list[Write] = field(default_factory=list)

    def add_to(self, report: Report) -> None:
        self._provisioning(report)
        self._ironic(report)
        self._round_trips(report)
        self._writes(report)
        self._footprint(report)

    def _provisioning(self, report: Report) -> None:
        ours, bare = "metalplane", "bare boot"
        section = report.section(f"Provisioning, medians of {len(self.samples)}", ours, bare, "ratio")
        ping = self._figure("create to ping", "s", lambda each: each.created.ping_s)
        booting = self._figure("power-on to ping", "s", lambda each: each.created.ping_s - each.created.power_on_s)
        alone = self._figure("bare boot to ping", "s", lambda each: each.bare_s)
        section.add("create -> power-on", self._figure("create to power-on", "s", lambda each: each.created.power_on_s))
        section.add("power-on -> ping", booting, alone, _ratio(booting, alone))
        section.add("create -> ping", ping, None, _ratio(ping, alone))
        section.add("create -> Ready", self._figure("create to Ready", "s", lambda each: each.created.running_s))
        section.add("delete -> gone", self._figure("delete to gone", "s", lambda each: each.deleted.gone_s))
        section.notes.append("Ratios are to the bare boot, from asking the chassis for power to the same ping.")

    def _ironic(self, report: Report) -> None:
        section = report.section("Beside an Ironic-like flow of the same image", "metalplane", "Ironic-like", "ratio")
        ours = self._figure("create to ping, beside Ironic-like", "s", lambda each: each.created.ping_s)
        theirs = self._figure("Ironic-like to ping", "s", lambda each: each.deployed.ping_s)
        times = self._figure("Ironic-like, ratio", "x", lambda each: each.deployed.ping_s / each.created.ping_s)
        section.add("to ping", ours, theirs, times)
        for label, value in _STEPS.items():
            section.add(f"of it {label}", None, self._figure(f"Ironic-like: {label}", "s", value))
        section.notes.append(
            "Boot a deploy system (this very image), fetch the image over the NIC and write all of it to the server's"
            " own disk, cut the power, boot that disk. Kinder than Ironic: no DHCP, TFTP or big ramdisk, no inspection,"
            " no cleaning, no conductor, no firmware self-test; and its clock starts at power-on, ours at the create."
        )

    def _round_trips(self, report: Report) -> None:
        section = report.section("Round trips of one operation", "requests", "in sequence")
        for operation in OPERATIONS:
            section.add(operation.name, *self._trips_of(operation.name))
            section.notes.append(f"{operation.name}: {story(self.samples[-1].requests[operation.name])}")

    def _trips_of(self, name: str) -> tuple[Figure, Figure]:
        asked = self._figure(f"{name}: requests", "", lambda each: len(each.requests[name]))
        return asked, self._figure(f"{name}: round trips", "", lambda each: len(rounds(each.requests[name])))

    def _writes(self, report: Report) -> None:
        columns = ("create", "delete", f"at rest, {self.rest_s:g} s")
        section = report.section("API writes of one machine, ours, without Leases and Events", *columns)
        at_rest = Figure("writes, at rest: all", "", (len(self.writes_at_rest),))
        section.add("all", *self._write_figures("all", lambda _: True), at_rest)
        section.add("of these refused", *self._write_figures("refused", lambda write: write.refused))
        pairs = (by_kind([*each.writes_create, *each.writes_delete]) for each in self.samples)
        for resource, verb in sorted({pair for each in pairs for pair in each}):
            figures = self._write_figures(f"{verb} {resource}", _is(resource, verb))
            section.add(f"{verb} {resource}", *figures)

    def _write_figures(self, name: str, counts: Callable[[Write], bool]) -> tuple[Figure, Figure]:
        created = self._figure(f"writes, create: {name}", "", lambda each: _count(counts, each.writes_create))
        deleted = self._figure(f"writes, delete: {name}", "", lambda each: _count(counts, each.writes_delete))
        return created, deleted

    def _footprint(self, report: Report) -> None:
        section = report.section(f"At rest for {self.rest_s:g} s, with one running machine", "RSS", "CPU of one core")
        for each in self.footprints:
            memory = Figure(f"{each.name}: RSS", "MiB", (round(each.rss_mib, 1),))
            section.add(each.name, memory, Figure(f"{each.name}: idle CPU", "%", (round(each.cpu_percent, 3),)))

    def _figure(self, name: str, unit: str, value: Callable[[Sample], float]) -> Figure:
        return Figure(name, unit, tuple(round(value(each), 3) for each in self.samples))


_STEPS: Mapping[str, Callable[[Sample], float]] = {
    "first boot, until it asks for the image": lambda each: each.deployed.first_boot_s,
    "copy": lambda each: each.deployed.copy_s,
    "power cycle and second boot": lambda each: each.deployed.second_boot_s,
}


def _ratio(ours: Figure, bare: Figure) -> Figure:
    return Figure(f"{ours.name}, ratio to bare boot", "x", (round(ours.median / bare.median, 3),))


def _is(resource: str, verb: str) -> Callable[[Write], bool]:
    return lambda write: (write.resource, write.verb) == (resource, verb)


def _count(counts: Callable[[Write], bool], writes: Iterable[Write]) -> int:
    return sum(map(counts, writes))
