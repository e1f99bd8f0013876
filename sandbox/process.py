"""One process of the sandbox as a value: how it is started, and which fact says that it is ready.

A spec is plain data (it crosses the supervisor's socket as JSON and is digested to see a change). Every process carries
a mark in its environment, which its own children inherit: whatever dies in between, all that belongs to a sandbox can
still be found.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

MARK = "METALPLANE_SANDBOX"

ReadyKind = Literal["alive", "unix", "tcp", "https", "rmcp"]


@dataclass(frozen=True, slots=True)
class Ready:
    """The fact that says a process is ready.

    ``alive``: it runs. ``unix``: the socket at ``target`` accepts. ``tcp``, ``rmcp``: HOST:PORT accepts, or answers an
    RMCP presence ping. ``https``: the URL answers 200, to a client that trusts ``authority``.
    """

    kind: ReadyKind = "alive"
    target: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: what is run, where, and how it is seen to be ready and told to stop."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    network_namespace: str | None = None
    ready: tuple[Ready, ...] = (Ready(),)
    ready_timeout_s: float = 60.0
    stop_timeout_s: float = 5.0

    @property
    def command(self) -> list[str]:
        """The command line as run. ``nsenter`` execs, so the process keeps its id and gets no mount namespace."""
        if self.network_namespace is None:
            return list(self.argv)
        return ["nsenter", f"--net=/run/netns/{self.network_namespace}", "--", *self.argv]

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ProcessSpec":
        ready = tuple(Ready(**fact) for fact in value["ready"])
        return cls(**{**value, "argv": tuple(value["argv"]), "ready": ready})


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """What the file of a started process says: its id alone would name a stranger once it is reused."""

    pid: int
    started_at: float
    digest: str

    @classmethod
    def of(cls, pid: int, digest: str) -> "ProcessRecord":
        return cls(pid, psutil.Process(pid).create_time(), digest)

    def write(self, path: Path) -> None:
        scratch = path.with_name(f".{path.name}")
        scratch.write_text(json.dumps(asdict(self)))
        scratch.rename(path)

    @classmethod
    def read(cls, path: Path) -> "ProcessRecord | None":
        """The record, if there is one and the process that it names still runs."""
        try:
            record = cls(**json.loads(path.read_text()))
            process = psutil.Process(record.pid)
            alive = process.create_time() == record.started_at and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, TypeError, psutil.NoSuchProcess):
            return None
        return record if alive else None


def marked(run: Path) -> Iterator[psutil.Process]:
    """Every live process of the sandbox whose sockets are in ``run``, however it came to be an orphan."""
    wanted = os.fsencode(f"{MARK}={run}")
    for process in psutil.process_iter():
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if process.pid != os.getpid() and wanted in environment.split(b"\0"):
            yield process
