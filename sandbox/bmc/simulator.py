"""ipmi_sim as a child process that never outlives its parent."""

import asyncio
import os
from pathlib import Path

from sandbox.bmc import BmcError
from sandbox.bmc.config import Settings, controller_commands, lan_configuration

_CONTROL_PROGRAM = Path(__file__).with_name("chassis_control.sh")
_STOP_TIMEOUT_S = 3.0


async def start(settings: Settings, state_directory: Path) -> asyncio.subprocess.Process:
    """Write the configuration below state_directory and run ipmi_sim on it; it logs to this process' standard error.

    The kernel kills it when this process ends, however that comes about (prctl(2), PR_SET_PDEATHSIG, by setpriv(1)).
    """
    persistent = state_directory / "persistent"
    persistent.mkdir(parents=True, exist_ok=True)
    lan = state_directory / "lan.conf"
    commands = state_directory / "bmc.emu"
    _write_private(lan, lan_configuration(settings, _CONTROL_PROGRAM))
    commands.write_text(controller_commands())
    files = ["-c", str(lan), "-f", str(commands), "-s", str(persistent)]
    try:
        return await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", "ipmi_sim", "-n", *files), stdin=asyncio.subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        step = "Install it: apt-get install openipmi util-linux"
        raise BmcError("starting", "ipmi_sim", f"{error.filename} is not installed", step) from error


async def stop(process: asyncio.subprocess.Process) -> None:
    """End ipmi_sim: it may write down what IPMI clients changed, and is killed when that takes too long."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
