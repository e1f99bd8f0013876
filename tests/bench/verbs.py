"""The imperative side: hot plug through the API beside QEMU's own, and keys through the console beside ipmitool."""

from collections.abc import Sequence

from tests.bench import hotplug, keystrokes
from tests.bench.byhand import ServerByHand
from tests.bench.metalcloud import metal_cloud
from tests.bench.options import Options
from tests.bench.progress import say
from tests.bench.provisioning import Provisioning
from tests.bench.qemualone import QemuAlone
from tests.bench.report import Figure, Report


def measure(report: Report, options: Options) -> None:
    """One machine through metalplane, one server that QEMU has alone, and what is done to both in turns."""
    with metal_cloud(options.directory) as (cloud, ledger):
        server = ServerByHand(cloud)
        server.up()
        created = Provisioning(cloud, ledger).create()
        alone = QemuAlone(server)
        say(f"hot plug, {options.plugs} rounds")
        with alone.running():
            plugged = hotplug.measure(cloud, created.uid, alone, options.plugs)
        say(f"keys to the console, {options.keys} each")
        typed = keystrokes.measure(cloud, options.keys)
    _report_plugs(report, plugged)
    _report_keys(report, typed)


def _report_plugs(report: Report, found: hotplug.Found) -> None:
    section = report.section(
        f"Hot plug: from the call to the device seen in the running guest, {len(found.disks)} each, in turns",
        *("metalplane", "QEMU alone", "more"),
        brief=("more",),
    )
    disks = [each.ms for each in found.qemu_disks]
    nics = [each.ms for each in found.qemu_nics]
    for label, ours, theirs in (
        ("disk, staged volume", [each.staged_ms for each in found.disks], disks),
        ("disk, the whole way", [each.whole_ms for each in found.disks], disks),
        ("disk, chassis to guest", [each.chassis_ms for each in found.disks], disks),
        ("NIC", [each.whole_ms for each in found.nics], nics),
        ("NIC, chassis to guest", [each.chassis_ms for each in found.nics], nics),
    ):
        more = [mine - other for mine, other in zip(ours, theirs, strict=True)]
        figures = (_figure(f"{label}: {column}", values) for column, values in _columns(ours, theirs, more))
        section.add(label, *figures)
    watchers = (("metalplane", found.marks_ms), ("QEMU alone", found.qemu_marks_ms))
    section.add("of it the watcher", *(_figure(f"hot plug: watcher, {name}", each) for name, each in watchers))
    section.notes.append(
        "Staged volume: the whole way less two waits, the disk's for a volume that is not attached yet and the agent's"
        " for the staging, as the machine's own spans have them (tests/bench/plugway.py). Chassis to guest: from the"
        " agent's request emulation_plug on. QEMU alone: from device_add on, of a disk that is served and a tap that is"
        " there. Seen: in /sys/block or /sys/class/net, by the same watcher in both guests. More: median of what the"
        " same round took more than QEMU alone."
    )


def _columns(
    ours: Sequence[float], theirs: Sequence[float], more: Sequence[float]
) -> tuple[tuple[str, Sequence[float]], ...]:
    return ("metalplane", ours), ("QEMU alone", theirs), ("more than QEMU alone", more)


def _report_keys(report: Report, found: keystrokes.Found) -> None:
    section = report.section(f"A key to its echo on the serial console, {len(found.bmctl_ms)} each", "time")
    section.add("bmctl console", _figure("key to echo: bmctl console", found.bmctl_ms))
    section.add("ipmitool sol activate", _figure("key to echo: ipmitool sol", found.ipmitool_ms))
    section.notes.append(
        "The same machine and login prompt, each on a terminal, in four turns. bm-api, which keeps the BMC's one"
        " session, is stopped while ipmitool has it."
    )


def _figure(name: str, values: Sequence[float]) -> Figure:
    return Figure(name, "ms", tuple(round(value, 3) for value in values))
