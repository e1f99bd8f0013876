"""All that a machine can leave behind, line by line: the same before and after means that nothing was left.

Looked at from outside and read-only: the targets' own lists, the switch's own database, the files and the processes.
"""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from itertools import chain
from pathlib import Path

import psutil
import pytest

from dpu_handler.lvol.names import image_snapshot
from dpu_handler.lvol.records import IMPORTED
from sandbox.cloud import Cloud
from sandbox.process import marked
from sandbox.targets import dpu_target
from tests.conformance.emulation.rig import Caller
from tests.conformance.spdk.wire import Wire
from tests.e2e.tenant import SOON_S

_KINDS = (
    "baremetalmachines,serverclaims,volumes.metalplane.io,virtualdisks,virtualnics,powerstates,emulateddisks,"
    "emulatednics,persistentvolumeclaims,persistentvolumes,volumeattachments"
)
_LISTS = {"nvmf_get_subsystems": "nqn", "vhost_get_controllers": "ctrlr", "bdev_nvme_get_controllers": "name"}
"""Methods that list what a target holds, where it has them, and what names each."""

_OWN_AFFAIRS = frozenset({"log", "trace", "pki", "etcd", "pool.img.lvs", "dpdk", "kubectl-cache"})
_EPHEMERAL = frozenset({"console.log", "qemu.log", "chassis.json"})


def inventory(cloud: Cloud) -> Counter[str]:
    """A line for each thing that is there, without what changes by itself and without images that somebody names."""
    layout = cloud.layout
    digests = cloud.kubectl.run("get", "machineimages", "-o", "jsonpath={.items[*].spec.sha256}").split()
    named = {image_snapshot(sha256) for sha256 in digests}
    dpus = (_dpu(cloud, number, named) for number in range(cloud.servers))
    lines = {
        "storage node": _target(cloud.storage_target.socket, named),
        "DPU": chain.from_iterable(dpus),
        "object": cloud.kubectl.run("get", _KINDS, "-A", "-o", "name", "--ignore-not-found").split(),
        "secret": cloud.kubectl.run("get", "secrets", "-A", "-o", "name").split(),
        "claim": cloud.kubectl.run("get", "servers", "-o", "jsonpath={.items[*].spec.claimRef}").split(),
        "file": (line for line in _files(layout.files, layout.run) if not _is_mark_of(line, digests)),
        "process": _processes(layout.run),
    }
    return Counter(f"{place}: {line}" for place, each in lines.items() for line in each)


def wait_as_before(cloud: Cloud, before: Counter[str], within_s: float = SOON_S) -> None:
    """Return when the inventory is what it was; fails the test with what is left over and what is missing."""
    deadline = time.monotonic() + within_s
    while (now := inventory(cloud)) != before:
        if time.monotonic() > deadline:
            pytest.fail("\n".join(["left over:", *(now - before), "missing:", *(before - now)]))
        time.sleep(0.2)  # between two looks


def _dpu(cloud: Cloud, number: int, named: Set[str]) -> Iterator[str]:
    run = cloud.layout.dpu_run(number)
    functions = Caller(run / "emulation.sock")("emulation_function_list")
    yield from (f"{number}: {line}" for line in _target(dpu_target(cloud.layout, number).socket, named))
    yield from (f"{number}: slot {json.dumps(each)}" for each in functions)
    yield from (f"{number}: switch {line}" for line in _switch(run / "db.sock"))


def _target(socket: Path, named: Set[str]) -> Iterator[str]:
    """What a target holds. The clusters that named images take are counted as free: they stay for the next clone."""
    of_images = 0
    with Wire(socket) as target:
        present = target.call("rpc_get_methods")
        for bdev in target.call("bdev_get_bdevs"):
            lvol = bdev["driver_specific"].get("lvol", {})
            if any(alias.rpartition("/")[2] in named for alias in bdev["aliases"]):
                of_images += lvol["num_allocated_clusters"]
            else:
                yield f"bdev {bdev['name']}"
        for method, noun in _LISTS.items():
            for each in target.call(method) if method in present else ():
                yield f"{method} {each[noun]}"
        for store in target.call("bdev_lvol_get_lvstores"):
            yield f"lvstore {store['name']} with {store['free_clusters'] + of_images} free clusters"


def _switch(database: Path) -> Iterator[str]:
    for table in ("Port", "Interface", "Bridge"):
        columns = "name,tag" if table == "Port" else "name"
        argv = ["ovs-vsctl", f"--db=unix:{database}", "--format=csv", "--no-heading", f"--columns={columns}"]
        done = subprocess.run([*argv, "list", table], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            yield f"{table} {line}"


def _files(*roots: Path) -> Iterator[str]:
    for root in roots:
        for path in root.rglob("*"):
            its_own = _OWN_AFFAIRS.intersection(path.relative_to(root).parts) or path.name in _EPHEMERAL
            if not its_own and not path.is_dir():
                yield str(path)


def _is_mark_of(line: str, digests: Sequence[str]) -> bool:
    """Whether it is what the storage node keeps beside the snapshot of an image that somebody names."""
    path = Path(line)
    return path.suffix == IMPORTED and path.stem in digests


def _processes(run: Path) -> Iterator[str]:
    """By their command lines, so that one which was restarted is the same."""
    for process in marked(run):
        try:
            yield " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
