"""The writes of machines once more, by a client that does nothing else: what the API server alone takes for them.

The objects are those of one machine, found while it ran. Each is made again under another name as often as there are
machines, and written to as often as the audit log says that a machine's was; then all are deleted. No controller of
ours runs meanwhile.
"""

import asyncio
import copy
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from provider.api.names import LABEL_MACHINE_UID
from provider.api.resources import (
    BAREMETALMACHINE,
    EMULATEDDISK,
    EMULATEDNIC,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    POWERSTATE,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    VOLUME,
    VOLUMEATTACHMENT,
    ResourceType,
)
from provider.runtime.client import KubeClient
from provider.runtime.controller import Json
from sandbox.inventory import LIGHT_TENANT
from tests.bench.writes import Write

_AT_ONCE = 64
_MANAGER = "replay"
KINDS = (
    BAREMETALMACHINE, SERVERCLAIM, VOLUME, VIRTUALDISK, VIRTUALNIC, POWERSTATE, EMULATEDDISK, EMULATEDNIC,
    PERSISTENTVOLUMECLAIM, PERSISTENTVOLUME, VOLUMEATTACHMENT,
)  # fmt: skip
"""Those that a machine's writes go to, save Secrets and Servers, which are written once or twice."""

_KEPT = ("name", "namespace", "labels", "annotations")


@dataclass(frozen=True, slots=True)
class Template:
    """One object of one machine, and how often a machine has its status and the rest written after it was made."""

    resource: ResourceType
    body: Json
    status_writes: int
    other_writes: int


async def templates(client: KubeClient, writes: Sequence[Write], machines: int) -> list[Template]:
    """Of the first machine's objects; ``writes`` are those of all ``machines`` from creation to Ready."""
    (first, *_) = await client.list(BAREMETALMACHINE, LIGHT_TENANT.name)
    uid = first["metadata"]["uid"]
    counted = Counter((write.resource, _sort(write)) for write in writes)
    found: list[Template] = []
    for resource in KINDS:
        own = [each for each in await client.list(resource) if _belongs(each, uid)]
        for each in own:
            status = counted[f"{resource.plural}/status", "update"] / machines / len(own)
            other = counted[resource.plural, "update"] / machines / len(own)
            found.append(Template(resource, _bare(each), round(status), round(other)))
    return found


async def replay(client: KubeClient, found: Sequence[Template], machines: int) -> tuple[float, int]:
    """Seconds that the writes take, and how many they are. What was made is deleted afterwards, untimed."""
    began = time.monotonic()
    count = await _at_once(_one(client, template, number) for number in range(machines) for template in found)
    took_s = time.monotonic() - began
    await _at_once(_remove(client, template, number) for number in range(machines) for template in found)
    return took_s, count


async def _one(client: KubeClient, template: Template, number: int) -> int:
    """All writes to one object."""
    resource, body = template.resource, _named(template, number)
    await client.create(resource, body, field_manager=_MANAGER)
    identity = {key: body["metadata"][key] for key in ("name", "namespace") if key in body["metadata"]}
    for turn in range(template.status_writes):
        status = {"metadata": identity, "status": _turned(template.body.get("status", {}), turn)}
        await client.apply(resource, status, field_manager=_MANAGER, subresource="status")
    for turn in range(template.other_writes):
        note = {"metadata": {"annotations": {"replay": str(turn)}}}
        await client.patch(resource, identity["name"], identity.get("namespace"), note, field_manager=_MANAGER)
    return 1 + template.status_writes + template.other_writes


async def _remove(client: KubeClient, template: Template, number: int) -> int:
    metadata = _named(template, number)["metadata"]
    await client.delete(template.resource, metadata["name"], metadata.get("namespace"))
    return 1


async def _at_once(work: Iterable[Coroutine[Any, Any, int]]) -> int:
    """Do all, so many at a time; the sum of what they return."""
    queue = iter(work)

    async def worker() -> int:
        total = 0
        for each in queue:
            total += await each
        return total

    return sum(await asyncio.gather(*(worker() for _ in range(_AT_ONCE))))


def _sort(write: Write) -> str:
    made = write.verb == "create" or (write.verb == "patch" and write.code == 201)
    return "create" if made else "delete" if write.verb == "delete" else "update"


def _belongs(obj: Json, machine_uid: str) -> bool:
    metadata = obj["metadata"]
    owners = {owner["uid"] for owner in metadata.get("ownerReferences", ())}
    return machine_uid in {metadata["uid"], *owners, *metadata.get("labels", {}).values()}


def _bare(obj: Json) -> Json:
    metadata = {key: value for key, value in obj["metadata"].items() if key in _KEPT}
    return {**{key: value for key, value in obj.items() if key != "metadata"}, "metadata": metadata}


def _named(template: Template, number: int) -> Json:
    body = copy.deepcopy(template.body)
    body["metadata"]["name"] = f"replay-{number}-{body['metadata']['name']}"[:63]
    body["metadata"].get("labels", {}).pop(LABEL_MACHINE_UID, None)
    if template.resource is PERSISTENTVOLUME:
        body["spec"].pop("claimRef", None)
    return {key: value for key, value in body.items() if key != "status"}


def _turned(status: Json, turn: int) -> Json:
    """The status, another one at each turn."""
    turned = copy.deepcopy(status)
    for condition in turned.get("conditions", [])[:1]:
        condition["message"] = f"turn {turn}"
    return turned
