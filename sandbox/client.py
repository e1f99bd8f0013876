"""Speaks to a sandbox's supervisor, starting it where none answers."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sandbox.errors import ProcessNotReady, SupervisorUnavailable
from sandbox.paths import SOURCE, Layout
from sandbox.process import ProcessSpec
from sandbox.supervisor import background_environment

Json = dict[str, Any]

ANSWER_S = 60.0
LOG_LINES_SHOWN = 12


class SupervisorClient:
    """One connection a request; nothing to close."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def ensure_running(self) -> None:
        """Have a supervisor that answers. It outlives the caller."""
        if self.is_running():
            return
        argv = [sys.executable, "-m", "sandbox.supervisor"]
        argv += ["--run-dir", str(self._layout.run), "--log-dir", str(self._layout.log)]
        environment = background_environment(self._layout.run)
        status = subprocess.run(argv, cwd=SOURCE, env=environment, check=False).returncode
        if status or not self.is_running():
            raise SupervisorUnavailable(
                f"Starting the supervisor of {self._layout.directory}",
                cause=f"exit status {status}",
                next_step=f"See {self._layout.log / 'supervisor.log'}.",
            )

    def is_running(self) -> bool:
        try:
            self.status()
        except SupervisorUnavailable:
            return False
        return True

    def status(self) -> list[Json]:
        """A report for each process that was ever started, in order."""
        for message in self._request({"do": "status"}):
            reports: list[Json] = message["processes"]
            return reports
        raise AssertionError("an answer has a last message")

    def start(self, specs: Sequence[ProcessSpec], progress: Callable[[Json], None] = lambda _: None) -> None:
        """Start these and return when all are ready; raises ``ProcessNotReady`` when that takes too long."""
        limit_s = max((spec.ready_timeout_s for spec in specs), default=ANSWER_S)
        last: dict[str, Json] = {}
        request = {"do": "start", "processes": [spec.to_json() for spec in specs]}
        try:
            for message in self._exchange(request, limit_s):
                if "process" in message:
                    last[message["process"]["name"]] = message["process"]
                    progress(message["process"])
        except TimeoutError:
            behind = [report for report in last.values() if report["state"] != "ready"]
            if not behind:
                raise self._unavailable(f"no answer within {limit_s:.0f} s") from None
            raise self._not_ready(behind, limit_s) from None

    def stop(self, names: Sequence[str]) -> None:
        """Stop these until they are started again."""
        for _ in self._request({"do": "stop", "names": list(names)}):
            pass

    def shutdown(self) -> None:
        """Stop everything and the supervisor itself."""
        for _ in self._request({"do": "shutdown"}):
            pass

    def _request(self, request: Json) -> Iterator[Json]:
        try:
            yield from self._exchange(request, ANSWER_S)
        except TimeoutError:
            raise self._unavailable(f"no answer within {ANSWER_S:.0f} s") from None

    def _exchange(self, request: Json, limit_s: float) -> Iterator[Json]:
        """The messages of the answer, the last one included; raises ``TimeoutError`` when it does not come in time."""
        deadline = time.monotonic() + limit_s
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(limit_s)
                connection.connect(str(self._layout.supervisor_socket))
                connection.sendall(json.dumps(request).encode() + b"\n")
                buffer = b""
                while True:
                    connection.settimeout(max(0.001, deadline - time.monotonic()))
                    received = connection.recv(1 << 16)
                    if not received:
                        raise self._unavailable("it hung up")
                    *lines, buffer = (buffer + received).split(b"\n")
                    for line in lines:
                        message: Json = json.loads(line)
                        yield message
                        if "done" in message or "processes" in message:
                            return
            except TimeoutError:
                raise
            except OSError as error:
                raise self._unavailable(str(error.strerror)) from error

    def _unavailable(self, cause: str) -> SupervisorUnavailable:
        return SupervisorUnavailable(
            f"Asking the sandbox of {self._layout.directory}",
            cause=f"its supervisor does not answer ({cause})",
            next_step="Bring it up with `python -m sandbox up`.",
        )

    def _not_ready(self, behind: Sequence[Json], limit_s: float) -> ProcessNotReady:
        first = behind[0]
        log = self._layout.log / f"{first['name']}.log"
        names = ", ".join(report["name"] for report in behind)
        exit_note = f" It ended {first['restarts']} times, last with {first['lastExit']}." if first["restarts"] else ""
        return ProcessNotReady(
            f"Waiting for {names}",
            cause=f"not ready within {limit_s:.0f} s.{exit_note} The end of {first['name']}'s log:\n{_tail(log)}",
            next_step=f"See {log}.",
        )


def _tail(log: Path) -> str:
    try:
        return "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
    except FileNotFoundError:
        return "  (no log)"
