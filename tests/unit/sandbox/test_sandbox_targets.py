"""Which SPDK targets a sandbox runs: chosen once by the environment, kept, never mixed."""

import json
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import processes, state
from sandbox.errors import AnotherShape, UnusableTarget
from sandbox.paths import Layout
from sandbox.process import ProcessSpec
from sandbox.targets import (
    METHODS,
    STAND_INS,
    TargetProcess,
    Targets,
    check,
    choose,
    dpu_target,
    from_environment,
    storage_target,
)
from tests.conformance.spdk.targets import short_directory

PORTS = state.Ports(1, 2, 3, 4, 5, 6, (7, 8), (9, 10))
PROGRAM = str(Path(sys.executable).resolve())
PAIR = Targets("/opt/spdk_tgt", "/opt/nvmf_tgt")
ONE = Targets("/opt/vhost")


def specs(layout: Layout, targets: Targets, servers: int = 1) -> dict[str, ProcessSpec]:
    found = processes.storage(layout, targets)
    for number in range(servers):
        found += processes.dpu(layout, number, PORTS, targets)
    return {spec.name: spec for spec in found}


def programs(layout: Layout, targets: Targets) -> dict[str, Sequence[str]]:
    return {name: spec.argv for name, spec in specs(layout, targets, 2).items() if name.startswith("spdk-")}


def test_without_variables_stand_ins_run(tmp_path: Path) -> None:
    assert from_environment(4, {}) is None
    assert from_environment(4, {"SPDK_TGT": "", "SPDK_STORAGE_TGT": ""}) is None
    found = programs(Layout.of(tmp_path), choose(None, None))
    assert sorted(found) == ["spdk-dpu0", "spdk-dpu1", "spdk-storage"]
    assert all("sandbox.spdk" in argv for argv in found.values())


def test_two_programs_make_a_storage_node_and_a_target_for_each_dpu(tmp_path: Path) -> None:
    named = from_environment(2, {"SPDK_TGT": PROGRAM, "SPDK_STORAGE_TGT": PROGRAM})
    assert named == Targets(PROGRAM, PROGRAM)
    layout = Layout.of(tmp_path)
    found = programs(layout, PAIR)
    assert {name: argv[0] for name, argv in found.items()} == {
        "spdk-storage": "/opt/nvmf_tgt",
        "spdk-dpu0": "/opt/spdk_tgt",
        "spdk-dpu1": "/opt/spdk_tgt",
    }
    assert [name for name, argv in found.items() if "--interrupt-mode" in argv] == ["spdk-storage"]
    assert str(layout.dpu_run(1) / "vhost") in found["spdk-dpu1"]
    assert "--protocol=nvmf-tcp" in specs(layout, PAIR)["lvol"].argv


def test_one_program_is_storage_node_and_dpu_and_there_is_no_network(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    found = specs(layout, ONE)
    assert [name for name in found if name.startswith("spdk-")] == ["spdk-dpu0"]
    driver = found["lvol"].argv
    assert "--protocol=bdev" in driver
    assert not any(argument.startswith(("--traddr", "--trsvcid")) for argument in driver)
    assert storage_target(layout, ONE) == dpu_target(layout, 0)
    assert f"--spdk-socket={layout.dpu_run(0) / 'spdk.sock'}" in driver


def test_what_a_killed_target_leaves_goes_with_the_sandbox(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    for name, spec in specs(layout, PAIR).items():
        if name.startswith("spdk-"):
            assert spec.environment == {"RUNTIME_DIRECTORY": str(layout.run)}
            assert "--limit-coredump" in spec.argv


@pytest.mark.parametrize(
    ("environment", "servers", "told"),
    [
        ({"SPDK_STORAGE_TGT": PROGRAM}, 1, "Set SPDK_TGT"),
        ({"SPDK_TGT": "/nonexistent/spdk_tgt"}, 1, "/nonexistent/spdk_tgt is no program"),
        ({"SPDK_TGT": PROGRAM, "SPDK_STORAGE_TGT": "/etc/passwd"}, 1, "/etc/passwd is no program"),
        ({"SPDK_TGT": PROGRAM}, 2, "bring up one server"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    environment: dict[str, str], servers: int, told: str
) -> None:
    with pytest.raises(UnusableTarget, match=told):
        from_environment(servers, environment)


@pytest.mark.parametrize("kept", [STAND_INS, PAIR, ONE])
def test_a_sandbox_keeps_the_targets_that_it_came_up_with(tmp_path: Path, kept: Targets) -> None:
    path = tmp_path / "state.json"
    state.write(path, state.choose(1, "tiny", "abcdef01", kept))
    found = state.read(path)
    assert found is not None
    assert choose(found.targets, None) == choose(found.targets, kept) == kept
    with pytest.raises(AnotherShape, match="Take it down first"):
        choose(found.targets, Targets("/opt/another"))


def test_a_target_without_what_its_part_needs_is_named_with_what_it_lacks() -> None:
    with short_directory() as directory, answering(directory, METHODS["disks"]) as path:
        check(TargetProcess("spdk-dpu0", path, ""), ["disks"])
        with pytest.raises(UnusableTarget, match=r"spdk-dpu0 .* bdev_nvme_attach_controller, .* \(initiator\)"):
            check(TargetProcess("spdk-dpu0", path, ""), ["disks", "initiator"])


@contextmanager
def answering(directory: Path, methods: frozenset[str]) -> Iterator[Path]:
    """The path of a socket that answers each first request of a connection with ``methods``."""
    path = directory / "spdk.sock"
    reply = json.dumps({"jsonrpc": "2.0", "id": 1, "result": sorted(methods)}).encode() + b"\n"

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
