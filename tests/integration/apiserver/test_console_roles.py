"""Who writes, who watches, and who may do neither."""

from typing import Any

from provider.api.subresources import GROUP
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.apiserver.lightrack import LightRack
from tests.integration.apiserver.tenants import bind, user
from tests.integration.apiserver.websockets import Clients, Door, path
from tests.integration.rest import Rest

Json = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"


async def test_one_writes_many_watch_and_who_takes_over_is_told(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine = rack.machine(namespace)
    ann, bob = (user(api, name, "edit", namespace) for name in ("ann", "bob"))
    writer = await consoles.opens(Door.of(ann), machine)
    watchers = [await consoles.opens(Door.of(bob), machine, watch="true") for _ in range(3)]
    opened = await watchers[0].told("opened")
    assert (opened["role"], opened["writer"]) == ("watcher", f"ann:{namespace}")
    await writer.types(b"of ann")
    for each in (writer, *watchers):
        await each.until(b"of ann")

    refused = await consoles.refused(Door.of(bob), machine)
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert f"ann:{namespace}" in refused.body["message"]
    assert "takeover" in refused.body["message"]

    await watchers[0].types(b"of a watcher")
    assert "you only watch" in (await watchers[0].told("notice"))["message"]
    successor = await consoles.opens(Door.of(bob), machine, takeover="true", tailBytes="0")
    deposed = await writer.told("role")
    assert deposed["role"] == "watcher"
    assert f"bob:{namespace}" in deposed["message"]
    await successor.types(b"of bob")
    for each in (successor, writer, *watchers):
        assert await each.until(b"of bob") == b"of bob"
    await writer.types(b"of ann again")
    assert "you only watch" in (await writer.told("notice"))["message"]


async def test_a_console_needs_get_and_create(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine = rack.machine(namespace)
    viewer = user(api, "viewer", "view", namespace)
    for watch in ("true", "false"):
        refused = await consoles.refused(Door.of(viewer), machine, watch=watch)
        assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert viewer.bytes_of(path(machine, "seriallog")) == b""

    rule = {"apiGroups": [GROUP], "resources": ["baremetalmachines/console"], "verbs": ["get"]}
    metadata = {"name": "half", "namespace": namespace}
    api.apiserver.kubectl.apply([{"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}])
    half = f"half:{namespace}"
    bind(api, "half", {"kind": "Role", "name": "half"}, {"kind": "User", "apiGroup": _RBAC, "name": half}, namespace)
    refused = await consoles.refused(Door.of(Rest.of_user(api.apiserver, half)), machine, watch="true")
    assert refused.code == 403
    assert "cannot create" in refused.body["message"]


async def test_a_right_that_is_taken_away_ends_the_console(
    api: InstalledApi, rack: LightRack, consoles: Clients, namespace: str
) -> None:
    machine = rack.machine(namespace)
    leaver = Door.of(user(api, "leaver", "edit", namespace))
    writer = await consoles.opens(leaver, machine)
    watcher = await consoles.opens(leaver, machine, watch="true")
    stays = await consoles.opens(Door.of(api.rest), machine, watch="true")
    api.apiserver.kubectl.run("delete", "rolebinding", "leaver", f"--namespace={namespace}")
    for each in (writer, watcher):
        code, reason = await each.closes()
        assert (code, reason) == (1008, "you may not use this console any more")
        assert (await each.told("closing"))["reason"] == reason
    assert (await consoles.refused(leaver, machine)).code == 403
    again = await consoles.opens(Door.of(api.rest), machine)
    await again.types(b"the place is free")
    await stays.until(b"the place is free")


async def test_a_plain_get_is_told_that_a_console_is_a_websocket(
    api: InstalledApi, rack: LightRack, namespace: str
) -> None:
    answer = api.rest.ask("GET", path(rack.machine(namespace)))
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")
    assert "websocket" in answer.refusal
