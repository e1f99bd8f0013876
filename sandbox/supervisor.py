"""The sandbox's service manager: a process in the background that keeps all others of one sandbox running.

It is told over a Unix socket, one JSON object a line each way:

    {"do": "start", "processes": [spec, ...]}   start what does not run, replace what runs by another spec; sends
                                                {"process": report} on each change until all are ready, then
                                                {"done": true}
    {"do": "status"}                            {"processes": [report, ...]}
    {"do": "stop", "names": [...]}              stop these, last started first, then {"done": true}
    {"do": "shutdown"}                          stop all, answer {"done": true}, end

The supervisor starts again whatever ends. It is itself replaceable: its records (process id and start time) let the
next one adopt what runs. ``python -m sandbox.supervisor`` returns once the socket accepts, leaving the supervisor
behind.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from sandbox.process import MARK, ProcessSpec
from sandbox.unit import Places, Unit

LINE_LIMIT_BYTES = 4 << 20

Json = dict[str, Any]


class Supervisor:
    """The units of one sandbox, in the order in which they were first started."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._units: dict[str, Unit] = {}
        self._listeners: set[asyncio.Event] = set()
        self.ended = asyncio.Event()

    async def start(self, specs: Sequence[ProcessSpec]) -> AsyncIterator[Json]:
        """Have these running by these specs; yields a report at each change until all are ready."""
        replaced = [unit for spec in specs if (unit := self._units.get(spec.name)) and unit.spec != spec]
        await asyncio.gather(*(unit.stop() for unit in replaced))
        with self._listening() as changed:
            for spec in specs:
                unit = self._units.get(spec.name)
                if unit is None or unit.spec != spec:
                    unit = self._units[spec.name] = Unit(spec, self._places, self._notify)
                unit.start()
            told: dict[str, Json] = {}
            while True:
                changed.clear()
                reports = [self._units[spec.name].report() for spec in specs]
                for report in reports:
                    if told.get(report["name"]) != report:
                        told[report["name"]] = report
                        yield {"process": report}
                if all(report["state"] == "ready" for report in reports):
                    return
                await changed.wait()

    def reports(self) -> list[Json]:
        return [unit.report() for unit in self._units.values()]

    async def stop(self, names: Sequence[str]) -> None:
        """Stop these in the opposite order of their start; they stay known, as stopped."""
        for name in reversed(list(self._units)):
            if name in names:
                await self._units[name].stop()

    async def stop_all(self) -> None:
        await self.stop(list(self._units))

    async def shutdown(self) -> None:
        await self.stop_all()
        self.ended.set()

    def _notify(self) -> None:
        for event in self._listeners:
            event.set()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)


class Connection:
    """Serves one client of the socket."""

    def __init__(self, supervisor: Supervisor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._supervisor = supervisor
        self._reader = reader
        self._writer = writer

    async def serve(self) -> None:
        try:
            while line := await self._reader.readline():
                await self._answer(json.loads(line))
        except (ConnectionError, ValueError) as error:
            logging.info("a client went away: %s", error)
        finally:
            self._writer.close()

    async def _answer(self, request: Json) -> None:
        match request["do"]:
            case "start":
                specs = [ProcessSpec.from_json(value) for value in request["processes"]]
                async for event in self._supervisor.start(specs):
                    await self._send(event)
                await self._send({"done": True})
            case "status":
                await self._send({"processes": self._supervisor.reports()})
            case "stop":
                await self._supervisor.stop(request["names"])
                await self._send({"done": True})
            case "shutdown":
                await self._supervisor.stop_all()
                await self._send({"done": True})
                self._supervisor.ended.set()
            case other:
                await self._send({"error": f"unknown request {other!r}"})

    async def _send(self, message: Json) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")
        await self._writer.drain()


async def serve(socket_path: Path, places: Places, ready_descriptor: int) -> None:
    """Serve until told to shut down. SIGTERM stops all processes too: nothing is left unwatched on purpose."""
    supervisor = Supervisor(places)
    loop = asyncio.get_running_loop()
    stopping: set[asyncio.Task[None]] = set()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, lambda: stopping.add(loop.create_task(supervisor.shutdown())))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(supervisor, reader, writer).serve()

    server = await asyncio.start_unix_server(connected, socket_path, limit=LINE_LIMIT_BYTES)
    os.write(ready_descriptor, b"ready")
    os.close(ready_descriptor)
    await supervisor.ended.wait()
    server.close()


def main() -> int:
    """Leave a supervisor in the background; return when it accepts, with 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.supervisor", description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, required=True, help="directory of the sockets and records")
    parser.add_argument("--log-dir", type=Path, required=True, help="directory of the processes' output")
    arguments = parser.parse_args()
    (arguments.run_dir / "pid").mkdir(parents=True, exist_ok=True)
    arguments.log_dir.mkdir(parents=True, exist_ok=True)
    receiving, sending = os.pipe()
    if os.fork():
        os.close(sending)
        return 0 if os.read(receiving, 16) else 1
    os.close(receiving)
    os.setsid()
    _leave_terminal(arguments.log_dir / "supervisor.log")
    lock = os.open(arguments.run_dir / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # One supervisor a sandbox; a second one finds that its service is rendered already.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(sending, b"already")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    places = Places(arguments.run_dir, arguments.log_dir)
    socket_path = arguments.run_dir / "supervisor.sock"
    socket_path.unlink(missing_ok=True)
    asyncio.run(serve(socket_path, places, sending))
    return 0


def _leave_terminal(log: Path) -> None:
    with Path(os.devnull).open("rb") as nothing, log.open("ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def background_environment(run: Path) -> dict[str, str]:
    """The environment to start a supervisor with: it carries the mark of its sandbox like all that it starts."""
    return {**os.environ, MARK: str(run)}


if __name__ == "__main__":
    sys.exit(main())
