"""Live progress, as a user at a terminal has it."""

from pathlib import Path

from tests.unit.bmctl import screens
from tests.unit.bmctl.api import MACHINES, SUBRESOURCES, Api, changed, machine, waiting_for
from tests.unit.bmctl.pseudoterminal import Pseudoterminal


def test_steps_that_are_done_stay_and_the_one_under_way_is_live(api: Api, kubeconfig: Path) -> None:
    api.answers["POST", f"{SUBRESOURCES}/bm-01/start"] = (200, {"message": "runStrategy is Always now"})
    api.shows(MACHINES, machine("Stopped"))
    silent = "the machine is on and has not answered yet, " * 5
    api.changes[MACHINES] = [changed(waiting_for(machine("Starting"), silent), machine())]
    with Pseudoterminal.of_bmctl(kubeconfig, "start", "bm-01") as user:
        assert user.end() == 0
        screens.compare("a start on a terminal", user.screen())
        longest = max(len(line) for line in user.drawn.decode().replace("\r", "\n").split("\n"))
        assert longest < 110  # a terminal of 100 columns, and the codes that clear a line


def test_an_interrupted_wait_leaves_the_step_and_no_trace(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, waiting_for(machine("Starting"), "the machine is on and has not answered yet"))
    with Pseudoterminal.of_bmctl(kubeconfig, "wait", "bm-01") as user:
        user.until(b"has not answered yet")
        user.process.send_signal(2)
        assert user.end() == 130
        screens.compare("an interrupted wait on a terminal", user.screen())


def test_top_draws_a_screen_of_its_own_and_gives_it_back(api: Api, kubeconfig: Path) -> None:
    api.shows(MACHINES, waiting_for(machine("Starting"), "the machine is on and has not answered yet"))
    with Pseudoterminal.of_bmctl(kubeconfig, "top") as user:
        user.until(b"has not answered yet")
        user.process.send_signal(2)
        assert user.end() == 130
        assert user.drawn.startswith(b"\x1b[?1049h")
        assert user.drawn.endswith(b"\x1b[?25h\x1b[?1049l")
        assert b"1 machines: 1 Starting" in user.drawn
