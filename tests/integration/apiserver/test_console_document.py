"""The program of docs/console.md that opens a console, run as it is printed there."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

from provider.api.resources import BAREMETALMACHINE
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.tenants import token
from tests.integration.apiserver.websockets import PATIENCE_S, Door

_PAGE = Path(__file__).parents[3] / "docs/console.md"
_PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


async def test_the_program_of_the_document_types_reads_and_ends(
    api: InstalledApi, rack: LightRack, namespace: str, tmp_path: Path
) -> None:
    (program,) = _PROGRAM.findall(_PAGE.read_text())
    file = tmp_path / "console.py"
    file.write_text(program)
    machine = rack.machine(namespace)
    told = {
        "URL": Door.of(api.rest).url(machine),
        "CA": str(api.apiserver.layout.pki / "cluster" / "ca.crt"),
        "TOKEN": token(api, namespace),
        "PYTHONUNBUFFERED": "1",
    }
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        sys.executable, str(file), stdout=pipe, stderr=pipe, env={"PATH": os.environ["PATH"], **told}
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            opened = json.loads(await running.stdout.readline())
            assert (opened["type"], opened["role"]) == ("opened", "writer")
            while (await running.stdout.readline()).strip() != rb"b'\r'":
                assert not running.stdout.at_eof(), "what it typed did not come back"
            api.rest.delete(BAREMETALMACHINE, machine)
            printed, complaints = await running.communicate()
        assert json.loads(printed.splitlines()[-1])["type"] == "closing"
        assert (running.returncode, complaints) == (0, b"")
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
