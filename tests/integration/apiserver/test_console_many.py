"""Two hundred consoles, open and idle."""

import asyncio
import re

import psutil

from provider.apiserver.routes import PREFIX
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.tenants import user
from tests.integration.apiserver.websockets import Clients, Door
from tests.integration.waiting import eventually

_CONSOLES, _MACHINES = 200, 4
_MOST_BYTES = 100 * 1024 * 1024
_OURS = 'flow_schema="metalplane-console"'


def figure(api: InstalledApi, name: str, *, where: str) -> float:
    """A figure of the API server, summed over the series whose labels ``where`` matches."""
    series = re.compile(rf"^{name}{{(?P<labels>.*)}} (?P<value>\S+)$", re.MULTILINE)
    told = api.apiserver.kubectl.run("get", "--raw", "/metrics")
    return sum(float(each["value"]) for each in series.finditer(told) if re.search(where, each["labels"]))


def rss_bytes(api: InstalledApi, rack: LightRack) -> int:
    """Of both replicas."""
    return sum(psutil.Process(rack.pid(spec.name)).memory_info().rss for spec in api.replicas)


async def test_two_hundred_idle_consoles_hold_no_seat_and_little_memory(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machines = [rack.machine(namespace) for _ in range(_MACHINES)]
    ann = user(api, "ann", "edit", namespace)
    door = Door.of(ann)
    for machine in machines:
        await consoles.opens(door, machine, watch="true", tailBytes="0")
    dispatched = "apiserver_flowcontrol_dispatched_requests_total"
    before_bytes, before = rss_bytes(api, rack), figure(api, dispatched, where=_OURS)

    opened = await asyncio.gather(
        *(consoles.opens(door, machine, watch="true") for machine in machines * (_CONSOLES // _MACHINES))
    )

    assert len(opened) == _CONSOLES
    assert figure(api, dispatched, where=_OURS) - before == _CONSOLES
    seats = "apiserver_flowcontrol_current_executing_seats"
    # Other requests come and go; what a console held would stay.
    eventually(lambda: figure(api, seats, where='priority_level="(?!exempt)'), lambda held: held < _CONSOLES / 10)
    assert ann.ask("GET", f"{PREFIX}/namespaces/{namespace}/baremetalmachines/nobody/trace").code == 404
    assert rss_bytes(api, rack) - before_bytes < _MOST_BYTES
    assert not any(each.websocket.closed for each in opened)
