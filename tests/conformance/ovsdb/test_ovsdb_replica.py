"""The replica of a real database: it follows whoever changes it, and is whole again after the server was restarted."""

from contextlib import ExitStack
from typing import Any

import pytest

from dpu_handler.execution.dpu import Dpu
from dpu_handler.execution.observation import observe_ports
from dpu_handler.southbound import ConnectionLost, DeadlineExceeded
from tests.conformance.ovsdb.conftest import Replica
from tests.conformance.ovsdb.switch import Switch


def port_has(name: str, **values: Any) -> Any:
    """Whether a row of that name is there, with these values."""
    return lambda rows: any(row["name"] == name and row.items() >= values.items() for row in rows)


async def test_a_port_that_somebody_else_adds_is_seen(replica: Replica, switch: Switch) -> None:
    switch.add_port("vm1", "tag=7")
    await replica.shows("Port", port_has("vm1", tag=7))
    await replica.shows("Interface", lambda rows: any(row["name"] == "vm1" and row["ofport"] for row in rows))


async def test_a_tag_that_somebody_changes_by_hand_is_seen(replica: Replica, switch: Switch, dpu: Dpu) -> None:
    switch.add_port("vm1", "tag=7")
    await replica.shows("Port", port_has("vm1", tag=7))
    switch.by_hand("set", "port", "vm1", "tag=8")
    await replica.shows("Port", port_has("vm1", tag=8))
    switch.by_hand("clear", "port", "vm1", "tag")
    await replica.shows("Port", port_has("vm1", tag=None))
    assert (await observe_ports(dpu))["vm1"].vlan is None


async def test_a_port_that_somebody_removes_is_seen(replica: Replica, switch: Switch, dpu: Dpu) -> None:
    switch.add_port("vm1")
    await replica.shows("Port", port_has("vm1"))
    switch.delete_port("vm1")
    await replica.shows("Port", lambda rows: not port_has("vm1")(rows))
    assert "vm1" not in await observe_ports(dpu)


async def test_looking_at_the_replica_asks_nobody(replica: Replica) -> None:
    assert replica.requests == ["get_schema", "monitor_cond"]
    for _ in range(10):
        await replica.client.rows("Port")
    assert replica.requests == ["get_schema", "monitor_cond"]


async def test_a_lost_server_is_news(replica: Replica, switch: Switch) -> None:
    replica.forget_news()
    switch.server.kill()
    await replica.news()
    with pytest.raises(ConnectionLost) as lost:
        await replica.client.transact([])
    assert lost.value.executed == "no"
    switch.server.start()


async def test_after_a_restart_the_replica_is_whole_again(replica: Replica, switch: Switch) -> None:
    switch.add_port("vm1", "tag=7")
    await replica.shows("Port", port_has("vm1", tag=7))
    replica.forget_news()
    switch.server.kill()
    await replica.news()
    switch.server.start()
    switch.by_hand("set", "port", "vm1", "tag=9")
    switch.add_port("vm2")
    await _connected(replica)
    await replica.shows("Port", port_has("vm1", tag=9))
    await replica.shows("Port", port_has("vm2"))
    switch.delete_port("vm1")
    await replica.shows("Port", lambda rows: not port_has("vm1")(rows))


async def test_a_call_after_a_restart_connects_by_itself(replica: Replica, switch: Switch) -> None:
    replica.forget_news()
    switch.server.kill()
    await replica.news()
    switch.server.start()
    await _connected(replica)
    read = {"op": "select", "table": "Bridge", "where": [], "columns": ["name"]}
    assert await replica.client.transact([read]) == [{"rows": [{"name": "br0"}]}]


async def test_a_start_that_was_given_up_half_way_is_made_again(switch: Switch) -> None:
    fresh = Replica(switch.socket, timeout_s=1.0)
    with ExitStack() as frozen:
        fresh.before["monitor_cond"] = lambda: frozen.enter_context(switch.server.frozen())
        with pytest.raises(DeadlineExceeded):
            await fresh.client.rows("Bridge")
    fresh.before.clear()
    switch.add_port("vm1", "tag=7")
    await fresh.shows("Port", port_has("vm1", tag=7))
    switch.by_hand("set", "port", "vm1", "tag=8")
    await fresh.shows("Port", port_has("vm1", tag=8))
    assert fresh.requests == ["get_schema", "monitor_cond", "monitor_cancel", "get_schema", "monitor_cond"]
    fresh.client.close()


async def _connected(replica: Replica) -> None:
    """Each attempt fails or holds; between two of them the client waits its back-off."""
    for _ in range(20):
        try:
            await replica.client.rows("Bridge")
        except ConnectionLost:
            continue
        return
    pytest.fail("never connected again")
