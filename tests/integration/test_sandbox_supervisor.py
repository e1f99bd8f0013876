"""The supervisor with real processes: what is killed comes back, what is orphaned is found."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sandbox import leftovers
from sandbox.client import SupervisorClient
from sandbox.errors import ProcessNotReady, SupervisorUnavailable
from sandbox.leftovers import take_away
from sandbox.paths import Layout
from sandbox.process import ProcessSpec, Ready, marked
from tests.waiting import wait_for


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout.of(tmp_path)
    yield layout
    take_away(layout)
    assert not layout.run.exists()


@pytest.fixture
def supervisor(layout: Layout) -> SupervisorClient:
    client = SupervisorClient(layout)
    client.ensure_running()
    return client


def listener(layout: Layout, name: str = "listener", *, greeting: str = "") -> ProcessSpec:
    """A process that is ready when its socket accepts."""
    path = layout.run / f"{name}.sock"
    program = (
        "import os, socket, sys, time\n"
        "print(sys.argv[2], flush=True)\n"
        "path = sys.argv[1]\n"
        "os.path.exists(path) and os.unlink(path)\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen()\n"
        "while True: s.accept()[0].close()\n"
    )
    return ProcessSpec(name, (sys.executable, "-c", program, str(path), greeting), ready=(Ready("unix", str(path)),))


def pid_of(supervisor: SupervisorClient, name: str = "listener") -> int | None:
    pids: dict[str, int | None] = {report["name"]: report["pid"] for report in supervisor.status()}
    return pids[name]


def test_a_killed_process_comes_back(layout: Layout, supervisor: SupervisorClient) -> None:
    supervisor.start([listener(layout)])
    first = pid_of(supervisor)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: supervisor.status()[0]["restarts"] == 1, "one restart")
    supervisor.start([listener(layout)])  # returns when it is ready again
    report = supervisor.status()[0]
    assert report["pid"] != first
    assert report["lastExit"] == "signal SIGKILL"


def test_starting_what_runs_leaves_it_alone(layout: Layout, supervisor: SupervisorClient) -> None:
    supervisor.start([listener(layout)])
    first = pid_of(supervisor)
    supervisor.start([listener(layout)])
    assert pid_of(supervisor) == first


def test_another_command_line_replaces_the_process(layout: Layout, supervisor: SupervisorClient) -> None:
    supervisor.start([listener(layout)])
    first = pid_of(supervisor)
    supervisor.start([listener(layout, greeting="second")])
    assert pid_of(supervisor) != first
    assert "second" in (layout.log / "listener.log").read_text()


def test_a_new_supervisor_adopts_what_the_killed_one_left(layout: Layout, supervisor: SupervisorClient) -> None:
    supervisor.start([listener(layout)])
    first = pid_of(supervisor)
    kill_supervisor(layout)
    supervisor.ensure_running()
    supervisor.start([listener(layout)])
    assert pid_of(supervisor) == first
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: supervisor.status()[0]["restarts"] == 1, "one restart")


def test_taking_away_finds_orphans_of_a_killed_supervisor(layout: Layout, supervisor: SupervisorClient) -> None:
    parent = "import subprocess, time; subprocess.Popen(['sleep', '600'], start_new_session=True); time.sleep(600)"
    supervisor.start([ProcessSpec("parent", (sys.executable, "-c", parent)), listener(layout)])
    wait_for(lambda: len(list(marked(layout.run))) == 4, "four processes with the mark")
    pid = pid_of(supervisor, "parent")
    kill_supervisor(layout)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    take_away(layout)
    assert [process.cmdline() for process in marked(layout.run)] == []
    take_away(layout)  # harmless when nothing is there


def test_stopping_is_in_the_opposite_order_of_starting(layout: Layout, supervisor: SupervisorClient) -> None:
    farewell = "import signal, sys, time; signal.signal(15, lambda *_: (print(time.time_ns(), flush=True), sys.exit()))"
    program = f"{farewell}; print('up', flush=True); signal.pause()"
    specs = [ProcessSpec(name, (sys.executable, "-c", program)) for name in ("first", "second")]
    supervisor.start(specs)
    logs = [layout.log / f"{name}.log" for name in ("first", "second")]
    wait_for(lambda: all("up" in log.read_text() for log in logs), "the word of each process in its log")
    supervisor.shutdown()
    first, second = (int(log.read_text().split()[1]) for log in logs)
    assert second < first


def test_what_does_not_come_up_is_named_with_the_end_of_its_log(layout: Layout, supervisor: SupervisorClient) -> None:
    complaint = "import sys; sys.exit('the disk is missing')"
    never = Ready("unix", str(layout.run / "never.sock"))
    spec = ProcessSpec("broken", (sys.executable, "-c", complaint), ready=(never,), ready_timeout_s=1)
    with pytest.raises(ProcessNotReady, match=r"(?s)broken.*the disk is missing.*broken\.log") as caught:
        supervisor.start([spec])
    assert "status 1" in caught.value.cause


def test_a_second_supervisor_gives_way(layout: Layout, supervisor: SupervisorClient) -> None:
    (layout.run / "supervisor.sock").unlink()
    with pytest.raises(SupervisorUnavailable):
        supervisor.ensure_running()
    wait_for(lambda: len(supervisors(layout)) == 1, "one supervisor")


def supervisors(layout: Layout) -> list[psutil.Process]:
    return [process for process in marked(layout.run) if "sandbox.supervisor" in process.cmdline()]


def kill_supervisor(layout: Layout) -> None:
    (process,) = supervisors(layout)
    process.kill()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "the process is gone")


def test_what_cannot_be_recorded_is_not_left_running(layout: Layout, supervisor: SupervisorClient) -> None:
    obstacle = layout.run / "pid" / ".listener.json"
    obstacle.mkdir()
    with pytest.raises(ProcessNotReady, match="could not be started"):
        supervisor.start([replace(listener(layout), ready_timeout_s=0.5)])
    obstacle.rmdir()
    supervisor.start([listener(layout)])
    assert [process.pid for process in marked(layout.run) if "listener.sock" in " ".join(process.cmdline())] == [
        pid_of(supervisor)
    ]


def test_what_cannot_be_asked_whether_it_is_ready_is_not_ready(layout: Layout, supervisor: SupervisorClient) -> None:
    nonsense = replace(listener(layout), ready=(Ready("tcp", "no port"),), ready_timeout_s=0.5)
    with pytest.raises(ProcessNotReady, match="listener"):
        supervisor.start([nonsense])


def test_a_supervisor_that_stays_is_swept_away(
    layout: Layout, supervisor: SupervisorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.start([listener(layout)])
    monkeypatch.setattr(SupervisorClient, "shutdown", lambda _: None)
    monkeypatch.setattr(leftovers, "_SUPERVISOR_END_S", 0.1)
    take_away(layout)
    assert [process.cmdline() for process in marked(layout.run)] == []
