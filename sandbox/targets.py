"""Which SPDK targets a sandbox runs: stand-ins, or the real programs that its user names in the environment.

    SPDK_TGT           path of the DPUs' target, such as spdk_tgt
    SPDK_STORAGE_TGT   path of the storage node's, such as nvmf_tgt; without it one process is both, for one server

Real and stand-in never meet in one sandbox: the stand-in's NVMe-oF is another wire. So the choice is made once, when a
sandbox first comes up, and kept in its state.
"""

import json
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox.errors import AnotherShape, UnusableTarget
from sandbox.paths import Layout

DPU_PROGRAM = "SPDK_TGT"
STORAGE_PROGRAM = "SPDK_STORAGE_TGT"

Part = Literal["pool", "exports", "disks", "initiator"]

METHODS: Mapping[Part, frozenset[str]] = {
    "pool": frozenset({"bdev_aio_create", "bdev_lvol_create_lvstore", "bdev_lvol_clone_bdev"}),
    "exports": frozenset({"nvmf_create_transport", "nvmf_create_subsystem", "nvmf_subsystem_add_listener"}),
    "disks": frozenset({"bdev_aio_create", "vhost_create_blk_controller"}),
    "initiator": frozenset({"bdev_nvme_attach_controller", "bdev_nvme_disable_controller", "sock_impl_get_options"}),
}
"""SPDK methods by which a target shows what it can do. One without sockets of its own can attach nothing over TCP."""

_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Targets:
    """Paths of the programs. ``dpu`` is None for stand-ins; ``storage`` is None where one process is both."""

    dpu: str | None = None
    storage: str | None = None

    @property
    def are_real(self) -> bool:
        """Whether these are SPDK itself."""
        return self.dpu is not None

    @property
    def are_one(self) -> bool:
        """Whether one process is the storage node's target and the DPU's."""
        return self.dpu is not None and self.storage is None

    @property
    def dpu_parts(self) -> tuple[Part, ...]:
        """What a DPU's target must be able to do."""
        return ("pool", "disks") if self.are_one else ("disks", "initiator")

    def __str__(self) -> str:
        if self.dpu is None:
            return "the stand-in"
        return f"{self.dpu} as both" if self.storage is None else f"{self.storage} (storage), {self.dpu} (DPUs)"


STAND_INS = Targets()


@dataclass(frozen=True, slots=True)
class TargetProcess:
    """A running target: the name of its process, its JSON-RPC socket, and where it is on the storage network."""

    name: str
    socket: Path
    network_namespace: str


def dpu_target(layout: Layout, number: int) -> TargetProcess:
    """The target of a DPU."""
    return TargetProcess(f"spdk-dpu{number}", layout.dpu_run(number) / "spdk.sock", layout.dpu_namespace(number))


def storage_target(layout: Layout, targets: Targets) -> TargetProcess:
    """The target that the pool is on."""
    if targets.are_one:
        return dpu_target(layout, 0)
    return TargetProcess("spdk-storage", layout.storage_run / "spdk.sock", layout.storage_namespace)


def from_environment(servers: int, environment: Mapping[str, str] | None = None) -> Targets | None:
    """What the environment names; None where it names nothing. Raises ``UnusableTarget``."""
    environment = os.environ if environment is None else environment
    dpu, storage = (environment.get(name) or None for name in (DPU_PROGRAM, STORAGE_PROGRAM))
    if dpu is None and storage is None:
        return None
    if dpu is None:
        raise UnusableTarget(
            f"Using {STORAGE_PROGRAM}={storage}",
            cause="the DPUs would run the stand-in, which does not speak NVMe/TCP",
            next_step=f"Set {DPU_PROGRAM} to the DPUs' target as well.",
        )
    if storage is None and servers > 1:
        raise UnusableTarget(
            f"Using {DPU_PROGRAM}={dpu} for {servers} servers",
            cause=f"without {STORAGE_PROGRAM} one process is storage node and DPU at once, and that DPU has one server",
            next_step=f"Set {STORAGE_PROGRAM} to the storage node's target, or bring up one server.",
        )
    return Targets(_program(DPU_PROGRAM, dpu), None if storage is None else _program(STORAGE_PROGRAM, storage))


def choose(kept: Targets | None, named: Targets | None) -> Targets:
    """The targets to run: what the sandbox's state keeps, if there is one. Raises ``AnotherShape``."""
    if kept is None:
        return named or STAND_INS
    if named not in (None, kept):
        raise AnotherShape(
            f"Bringing up the sandbox with {named} as SPDK target",
            cause=f"it is there with {kept}",
            next_step="Take it down first: `python -m sandbox down`.",
        )
    return kept


def check(process: TargetProcess, parts: Iterable[Part]) -> None:
    """Raises ``UnusableTarget`` where a running target lacks a method that its part needs."""
    present = frozenset(_call(process.socket, "rpc_get_methods"))
    missing = {part: lacking for part in parts if (lacking := METHODS[part] - present)}
    if missing:
        told = "; ".join(f"{', '.join(sorted(names))} ({part})" for part, names in missing.items())
        raise UnusableTarget(
            f"Using the SPDK target of {process.name}",
            cause=f"it has no {told}",
            next_step="Name another program, such as nvmf_tgt for the storage node and spdk_tgt for the DPUs.",
        )


def _program(variable: str, value: str) -> str:
    path = Path(value).resolve()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise UnusableTarget(
            f"Using {variable}={value}",
            cause=f"{path} is no program",
            next_step=f"Set {variable} to the path of an SPDK target, or unset it to run the stand-in.",
        )
    return str(path)


def _call(path: Path, method: str) -> Any:
    """The result of one request, one line (SPDK's framing). The sending side stays open: SPDK drops the reply else."""
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as replies:
        connection.settimeout(_ANSWER_S)
        connection.connect(str(path))
        connection.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode())
        return json.loads(replies.readline())["result"]
