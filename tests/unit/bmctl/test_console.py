"""The console from the user's side: at a terminal and in a pipe, against a websocket that does what a story says."""

import asyncio
import json
import signal
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from tests.unit.bmctl import screens
from tests.unit.bmctl.api import SERVERS, SUBRESOURCES, Api, refusal, run, until_closed
from tests.unit.bmctl.pseudoterminal import Pseudoterminal

WRITER = json.dumps({"type": "opened", "role": "writer"})
CONSOLE = f"{SUBRESOURCES}/bm-01/console"


async def shell(socket: web.WebSocketResponse, request: web.Request) -> None:
    """Says a prompt, and says again what it is told."""
    await socket.send_str(WRITER)
    await socket.send_bytes(b"login: ")
    async for message in socket:
        await socket.send_bytes(b"<" + message.data + b">" if message.type is WSMsgType.BINARY else b"{break}")


def test_keys_go_to_the_machine_and_the_escape_leaves(api: Api, kubeconfig: Path) -> None:
    api.consoles = [shell]
    with Pseudoterminal.of_bmctl(kubeconfig, "console", "bm-01") as user:
        user.until(b"login: ")
        assert user.modes != user.before
        user.type(b"ro\x03")
        user.until(b"ro\x03>")
        user.type(b"\x1d\x1d")
        user.until(b"<\x1d>")
        user.type(b"\x1db")
        user.until(b"{break}")
        user.type(b"\x1d.")
        assert user.end() == 0
        assert user.modes == user.before
        assert b"Ctrl-] then: . leave" in user.drawn


def test_a_terminal_is_put_back_when_bmctl_is_told_to_end(api: Api, kubeconfig: Path) -> None:
    api.consoles = [shell]
    with Pseudoterminal.of_bmctl(kubeconfig, "console", "bm-01") as user:
        user.until(b"login: ")
        user.process.send_signal(signal.SIGTERM)
        assert user.end() == 128 + signal.SIGTERM
        assert user.modes == user.before


def test_a_pipe_carries_every_byte_both_ways(api: Api, kubeconfig: Path) -> None:
    data = bytes(range(256)) * 300
    received: list[bytes] = []

    async def echo(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_str(WRITER)
        async for message in socket:
            received.append(message.data)
            await socket.send_bytes(message.data)

    api.consoles = [echo]
    done = run(kubeconfig, "console", "bm-01", data=data)
    assert done.returncode == 0
    assert done.stdout == data
    assert b"".join(received) == data
    assert done.stderr == b""


def test_a_console_whose_server_goes_away_is_opened_anew(api: Api, kubeconfig: Path) -> None:
    async def leaving(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_str(WRITER)
        await socket.send_bytes(b"one\r\n")
        await socket.close(code=1001, message=b"the server is going away")

    async def ending(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_bytes(b"two\r\n")
        await socket.close(code=1000, message=b"the machine was deleted")

    api.consoles = [leaving, ending]
    with Pseudoterminal.of_bmctl(kubeconfig, "console", "bm-01", "--tail", "64Ki") as user:
        assert user.end() == 0
        screens.compare("a console whose server goes away is opened anew", user.screen())
    assert [path for _, path, _ in api.requests] == [f"{CONSOLE}?tailBytes=65536", f"{CONSOLE}?tailBytes=0"]


def test_a_console_that_is_cut_without_a_word_is_opened_anew(api: Api, kubeconfig: Path) -> None:
    async def cut(socket: web.WebSocketResponse, request: web.Request) -> None:
        assert request.transport is not None
        await socket.send_bytes(b"one")
        request.transport.abort()

    async def ending(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_bytes(b"two")
        await socket.close(code=1000)

    api.consoles = [cut, ending]
    done = run(kubeconfig, "console", "bm-01", "--watch")
    assert done.returncode == 0
    assert done.stdout.endswith(b"two")
    assert b"it is opened anew" in done.stderr


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [(1008, b"the right to the console was taken away", 4), (1013, b"the BMC's session is taken", 5), (1011, b"", 1)],
)
def test_an_end_that_is_no_end_of_the_machine_is_an_error(
    api: Api, kubeconfig: Path, code: int, reason: bytes, exit_code: int
) -> None:
    async def ending(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.close(code=code, message=reason)

    api.consoles = [ending]
    done = run(kubeconfig, "console", "bm-01", "--linger", "0")
    screens.check(f"a console that ends with {code}", "bmctl console bm-01 --linger 0", done, api.url)
    assert done.returncode == exit_code


def test_a_console_that_somebody_else_writes_on_is_looked_on_or_taken_over(api: Api, kubeconfig: Path) -> None:
    api.answers["GET", CONSOLE] = refusal(409, "Conflict", "jane writes on the console")
    done = run(kubeconfig, "console", "bm-01")
    screens.check("a console that somebody else writes on", "bmctl console bm-01", done)
    assert run(kubeconfig, "console", "bm-01", "--watch", "--takeover").returncode == 2
    run(kubeconfig, "console", "bm-01", "--takeover")
    assert api.requests[-1][1] == f"{CONSOLE}?takeover=true"


def test_news_about_a_console_stand_apart_from_its_bytes(api: Api, kubeconfig: Path) -> None:
    async def telling(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_str(WRITER)
        await socket.send_bytes(b"before\n")
        await socket.send_str(json.dumps({"type": "lost", "bytes": 4096}))
        await socket.send_str(json.dumps({"type": "role", "role": "watcher", "message": "jane took the console over"}))
        await socket.send_str(json.dumps({"type": "news of a later version"}))
        await socket.send_bytes(b"after\n")
        await socket.close(code=1000, message=b"it was idle for 30 min")

    api.consoles = [telling]
    done = run(kubeconfig, "console", "bm-01", "--linger", "0")
    screens.check("news about a console stand apart from its bytes", "bmctl console bm-01 --linger 0", done)


def test_a_watcher_types_nothing_and_still_can_leave(api: Api, kubeconfig: Path) -> None:
    sent: list[object] = []

    async def watched(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_str(json.dumps({"type": "opened", "role": "watcher", "writer": "jane"}))
        await socket.send_bytes(b"booting")
        sent.extend(await until_closed(socket))

    api.consoles = [watched]
    with Pseudoterminal.of_bmctl(kubeconfig, "console", "bm-01", "--watch") as user:
        user.until(b"booting")
        user.type(b"rm -rf\r\x1d.")
        assert user.end() == 0
        assert b"you look on; jane writes" in user.drawn
    assert sent == []
    assert api.requests[0][1] == f"{CONSOLE}?watch=true"


def test_bytes_that_come_with_the_answer_are_not_lost(api: Api, kubeconfig: Path) -> None:
    async def at_once(socket: web.WebSocketResponse, request: web.Request) -> None:
        for number in range(200):
            await socket.send_bytes(b"%04d" % number * 200)
        await socket.close(code=1000)

    api.consoles = [at_once]
    done = run(kubeconfig, "console", "bm-01", "--linger", "0")
    assert done.stdout == b"".join(b"%04d" % number * 200 for number in range(200))


def test_the_log_is_what_was_kept_and_with_f_what_comes_too(api: Api, kubeconfig: Path) -> None:
    api.answers["GET", f"{SUBRESOURCES}/bm-01/seriallog"] = (200, b"\x00Linux version 6.1\r\n\xff")
    assert run(kubeconfig, "logs", "bm-01", "--tail", "1Ki").stdout == b"\x00Linux version 6.1\r\n\xff"
    assert api.requests[-1][1] == f"{SUBRESOURCES}/bm-01/seriallog?tailBytes=1024"

    async def booting(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_str(json.dumps({"type": "opened", "role": "watcher"}))
        await socket.send_bytes(b"kept, ")
        await asyncio.sleep(0)
        await socket.send_bytes(b"and coming")
        await socket.close(code=1000, message=b"the machine was deleted")

    api.consoles = [booting]
    assert run(kubeconfig, "logs", "bm-01", "-f").stdout == b"kept, and coming"
    assert api.requests[-1][1] == f"{CONSOLE}?watch=true&tailBytes=1048576"


@pytest.mark.parametrize("name", ["server/server-07", "server.metalplane.io/server-07"])
def test_an_operator_opens_the_console_of_a_server(api: Api, kubeconfig: Path, name: str) -> None:
    api.consoles = [shell]
    done = run(kubeconfig, "console", name, "--tail", "1Ki", data=b"who\n")
    assert (done.returncode, done.stdout) == (0, b"login: <who\n>")
    assert api.requests[0][1] == f"{SERVERS}/server-07/console?tailBytes=1024"


def test_a_server_whose_console_is_not_there_is_called_so(api: Api, kubeconfig: Path) -> None:
    missing = refusal(404, "NotFound", "Server server-09 not found: check the name", kind="servers")
    api.answers["GET", f"{SERVERS}/server-09/console"] = missing
    done = run(kubeconfig, "console", "server/server-09")
    assert done.returncode == 3
    assert done.stderr.decode().startswith("error: Opening the console of Server server-09: Server server-09 not found")
    assert b"`bmctl servers` lists" in done.stderr
    assert run(kubeconfig, "console", "server/").returncode == 2
