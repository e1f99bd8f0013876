"""bmctl as whoever looks after servers has it: by the operators' role, which sees no machine."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provider.api.resources import BAREMETALMACHINE, POWERSTATE, SERVER
from sandbox.apiserver import ApiServer
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.websockets import PATIENCE_S
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]

_USER = "racks:operator"
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody with that role and no other."""

    kubeconfig: Path

    async def starts(self, *arguments: str) -> asyncio.subprocess.Process:
        """bmctl, which goes on meanwhile."""
        argv = (sys.executable, "-m", "bmctl", "--kubeconfig", str(self.kubeconfig), *arguments)
        return await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=os.environ)

    async def does(self, *arguments: str, keys: bytes = b"") -> tuple[int, str, str]:
        """Exit code, standard output and standard error of bmctl."""
        return await ends(await self.starts(*arguments), keys)


async def ends(running: asyncio.subprocess.Process, keys: bytes = b"") -> tuple[int, str, str]:
    """The same, of one that was started."""
    async with asyncio.timeout(PATIENCE_S):
        printed, told = await running.communicate(keys)
    assert running.returncode is not None
    return running.returncode, printed.decode(), told.decode()


@pytest.fixture(scope="module")
def operator(apiserver: ApiServer, api: InstalledApi) -> Operator:
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "racks-operator"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "metalplane:operator"},
        "subjects": [{"kind": "User", "apiGroup": _RBAC, "name": _USER}],
    }
    apiserver.kubectl.apply([binding])
    Rest.of_user(apiserver, _USER)
    return Operator(apiserver.layout.files / f"{_USER.replace(':', '-')}.kubeconfig")


async def line(running: asyncio.subprocess.Process, part: str) -> None:
    """Read standard error up to a line that has that part."""
    assert running.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while part not in (told := (await running.stderr.readline()).decode()):
            assert told, f"{part!r} was not said"


async def test_a_power_is_switched_and_followed_by_who_sees_no_machine(
    api: InstalledApi, rack: LightRack, operator: Operator, namespace: str
) -> None:
    machine = rack.machine(namespace)
    name, server = machine["metadata"]["name"], rack.server_of(machine)
    code, _, told = await operator.does("get", name, "-n", namespace)
    assert (code, "forbidden" in told) == (4, True)

    running = await operator.starts("power", server, "PowerCycle")
    request = eventually(lambda: api.request(machine), bool)
    assert request is not None
    assert request["action"] == "PowerCycle"
    await line(running, "Pending")
    for phase, shown in (("PoweringOff", "PoweringOff: the power is cut"), ("Succeeded", "Succeeded")):
        known = {"id": request["id"], "phase": phase, "startedAt": "2026-01-01T10:00:00Z"}
        known |= {"message": "the power is cut"} if phase == "PoweringOff" else {}
        status = {"status": {"atProvider": {"request": {"message": None, **known}}}}
        power = {"metadata": {"name": f"{name}-power", "namespace": namespace}}
        api.rest.patch(POWERSTATE, power, status, subresource="status")
        await line(running, shown)
    code, printed, _ = await ends(running)
    assert (code, printed.splitlines()[-1]) == (0, f"{server}: PowerCycle is done, its power is On")

    code, printed, _ = await operator.does("power", server)
    assert (code, printed.splitlines()[1].split()) == (0, [server, f"{namespace}/{name}", "On", "Succeeded"])
    code, printed, _ = await operator.does("power", server, "-o", "json")
    assert json.loads(printed)["request"]["id"] == request["id"]


async def test_a_server_that_nobody_holds_is_looked_at_and_not_switched(
    api: InstalledApi, rack: LightRack, operator: Operator, namespace: str
) -> None:
    machine = rack.machine(namespace)
    server = rack.server_of(machine)
    api.rest.delete(BAREMETALMACHINE, machine)
    api.rest.patch(SERVER, {"metadata": {"name": server}}, {"spec": {"claimRef": None}})
    code, printed, _ = await operator.does("power", server)
    assert (code, printed.splitlines()[1].split()) == (0, [server, "On"])
    code, _, told = await operator.does("power", server, "ForceOff")
    assert code == 7
    assert f"Server {server} is held by no machine" in told

    code, printed, told = await operator.does("console", f"server/{server}", keys=b"anybody?")
    assert (code, printed) == (0, "anybody?"), told


async def test_the_console_of_a_server_is_its_operators_whoever_holds_it(
    api: InstalledApi, rack: LightRack, operator: Operator, namespace: str
) -> None:
    machine = rack.machine(namespace)
    code, _, told = await operator.does("console", machine["metadata"]["name"], "-n", namespace)
    assert (code, "forbidden" in told) == (4, True)
    server = rack.server_of(machine)
    code, printed, told = await operator.does("console", f"server.metalplane.io/{server}", keys=b"hello")
    assert (code, printed) == (0, "hello"), told
    code, _, told = await operator.does("console", "server/none")
    assert (code, "`bmctl servers` lists" in told) == (3, True)
