"""The objects that verbs read and write: always the API server's own, never a cache's.

A machine's children are those that it controls, by UID: a tenant may label anything.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any
from uuid import uuid4

from provider.api.conditions import now
from provider.api.machine import BareMetalMachine
from provider.api.names import ANNOTATION_RUN, LABEL_DISK, LABEL_MACHINE_UID, LABEL_NIC
from provider.api.powerstate import PowerState
from provider.api.resources import (
    BAREMETALMACHINE,
    POWERSTATE,
    SERVER,
    SERVERCLAIM,
    VIRTUALDISK,
    VIRTUALNIC,
    ResourceType,
)
from provider.api.server import Server
from provider.apiserver.equipped import Equipped
from provider.apiserver.errors import Missing, StateForbids
from provider.apiserver.power import Powered
from provider.apiserver.stewardship import FIELD_MANAGER
from provider.apiserver.verdicts import Decision, NewRun, PowerRequest
from provider.runtime.client import KubeClient
from provider.runtime.errors import Conflict, NotFound
from provider.runtime.tracing import Tracer, machine_trace

Json = dict[str, Any]

_ATTEMPTS = 5
_DEVICES = {VIRTUALDISK.kind: VIRTUALDISK, VIRTUALNIC.kind: VIRTUALNIC}


class Objects:
    """Raises ``ApiError`` for what is not there, ``KubeError`` for everything else."""

    def __init__(self, client: KubeClient, tracer: Tracer, clock: Callable[[], datetime] = now) -> None:
        self._client = client
        self._tracer = tracer
        self._clock = clock

    async def machine(self, namespace: str, name: str) -> Json:
        """A BareMetalMachine."""
        return await self._get(BAREMETALMACHINE, name, namespace)

    async def server(self, name: str) -> Server:
        """A Server."""
        return Server.parse(await self._get(SERVER, name))

    async def powered(self, machine: Json) -> Powered:
        """The machine with its PowerState."""
        power = await self._power(machine)
        return Powered(machine, BareMetalMachine.parse(machine), power, str(uuid4()), self._clock())

    async def equipped(self, machine: Json) -> Equipped:
        """The machine with its devices."""
        disks, nics = await self._children(machine, VIRTUALDISK), await self._children(machine, VIRTUALNIC)
        power = await self._power(machine)
        return Equipped(machine, _by_label(disks, LABEL_DISK), _by_label(nics, LABEL_NIC), power, str(uuid4()))

    async def holder(self, server: Server) -> Json | None:
        """The machine that holds the server; None where nobody does."""
        claim = server.spec.claim_ref
        if claim is None or claim.namespace is None:
            return None
        try:
            holding = await self._client.get(SERVERCLAIM, claim.name, claim.namespace)
        except NotFound:
            return None
        owner = next((each for each in holding["metadata"].get("ownerReferences", ()) if each.get("controller")), None)
        if holding["metadata"]["uid"] != claim.uid or owner is None:
            return None
        try:
            machine = await self._client.get(BAREMETALMACHINE, owner["name"], claim.namespace)
        except NotFound:
            return None
        return machine if machine["metadata"]["uid"] == owner["uid"] else None

    async def held_server(self, machine: Json) -> tuple[Server, str]:
        """The server that the machine holds, and the UID of the claim by which it does."""
        metadata = machine["metadata"]
        for claim in await self._children(machine, SERVERCLAIM):
            name = claim.get("status", {}).get("atProvider", {}).get("serverName")
            server = await self.server(name) if name else None
            ref = server.spec.claim_ref if server else None
            claim_uid: str = claim["metadata"]["uid"]
            if server is not None and ref is not None and ref.uid == claim_uid:
                return server, claim_uid
        raise StateForbids(
            f"BareMetalMachine {metadata['namespace']}/{metadata['name']} holds no server yet: "
            "`kubectl describe` it says what it waits for"
        )

    async def carry_out(self, machine: Json, decision: Decision, *, dry_run: bool) -> None:
        """Write what was decided of ``machine`` as it was read. Raises ``Conflict`` where it has changed since.

        A device is let go of before the spec changes, for the spec's change begins its removal; a request follows the
        spec, so that a power that is to be off is not cut and put back. A run is marked before a device is added for
        it: a device of a run that nothing marks is over.
        """
        metadata = machine["metadata"]
        namespace = metadata["namespace"]
        if decision.trial:
            await self._edit(machine, {"spec": dict(decision.trial)}, dry_run=True)
        for held in decision.let_go:
            kind, _, device = held.partition("/")
            await self._apply(
                _DEVICES[kind], {"name": device, "namespace": namespace}, {"forceUnplug": True}, dry_run=dry_run
            )
        if decision.new_run is not None:
            await self._mark(namespace, decision.new_run, dry_run=dry_run)
        edits: Json = {"spec": dict(decision.spec)} if decision.spec else {}
        if decision.annotations:
            edits["metadata"] = {"annotations": dict(decision.annotations)}
        if edits:
            await self._edit(machine, edits, dry_run=dry_run)
        if decision.request is not None:
            await self._ask(namespace, decision.request, dry_run=dry_run)

    async def decide(
        self,
        namespace: str,
        name: str,
        decide: "Callable[[Objects, Json], Awaitable[Decision]]",
        *,
        verb: str,
        dry_run: bool,
    ) -> tuple[Json, Decision]:
        """Read the machine, decide, write; again from the beginning where somebody wrote in between.

        What is written stands in the machine's trace, under the verb.
        """
        for attempt in range(_ATTEMPTS):
            machine = await self.machine(namespace, name)
            decision = await decide(self, machine)
            try:
                with nullcontext() if dry_run else self._span(machine, verb):
                    await self.carry_out(machine, decision, dry_run=dry_run)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return machine, decision
        raise AssertionError("the last attempt returns or raises")

    def _span(self, machine: Json, verb: str) -> AbstractContextManager[object]:
        metadata = machine["metadata"]
        attributes = {
            "k8s.resource": BAREMETALMACHINE.plural,
            "k8s.object": f"{metadata['namespace']}/{metadata['name']}",
        }
        trace = machine_trace(metadata["uid"])
        return self._tracer.span(f"serve {verb}", trace=trace, kind="server", attributes=attributes, lazy=True)

    async def _edit(self, machine: Json, edits: Json, *, dry_run: bool) -> None:
        metadata = machine["metadata"]
        await self._client.patch(
            BAREMETALMACHINE,
            metadata["name"],
            metadata["namespace"],
            edits,
            resource_version=metadata["resourceVersion"],
            field_manager=FIELD_MANAGER,
            dry_run=dry_run,
        )

    async def _mark(self, namespace: str, run: NewRun, *, dry_run: bool) -> None:
        await self._client.patch(
            POWERSTATE,
            run.power,
            namespace,
            {"metadata": {"annotations": {ANNOTATION_RUN: run.id}}},
            resource_version=run.resource_version,
            field_manager=FIELD_MANAGER,
            dry_run=dry_run,
        )

    async def _ask(self, namespace: str, request: PowerRequest, *, dry_run: bool) -> None:
        # An apply makes what is not there; with a UID that is a conflict.
        metadata = {
            "name": request.power,
            "namespace": namespace,
            "uid": request.uid,
            "resourceVersion": request.resource_version,
        }
        await self._apply(POWERSTATE, metadata, {"request": dict(request.parameters)}, dry_run=dry_run)

    async def _power(self, machine: Json) -> PowerState | None:
        found = await self._children(machine, POWERSTATE)
        return PowerState.parse(found[0]) if found else None

    async def _apply(self, rt: ResourceType, metadata: Json, parameters: Json, *, dry_run: bool) -> None:
        obj: Json = {"metadata": metadata, "spec": {"forProvider": parameters}}
        await self._client.apply(rt, obj, field_manager=FIELD_MANAGER, dry_run=dry_run)

    async def _children(self, machine: Json, rt: ResourceType) -> list[Json]:
        uid = machine["metadata"]["uid"]
        found = await self._client.list(rt, machine["metadata"]["namespace"], labels={LABEL_MACHINE_UID: uid})
        return [child for child in found if _controller(child) == uid]

    async def _get(self, rt: ResourceType, name: str, namespace: str | None = None) -> Json:
        try:
            return await self._client.get(rt, name, namespace)
        except NotFound as error:
            place = f"{namespace}/{name}" if namespace else name
            raise Missing(f"{rt.kind} {place} not found: check the name", kind=rt.plural, name=name) from error
        except ValueError as error:
            raise Missing(str(error), kind=rt.plural, name=name) from error


def _controller(child: Json) -> str | None:
    owners = child["metadata"].get("ownerReferences", ())
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def _by_label(objects: list[Json], label: str) -> dict[str, str]:
    return {
        obj["metadata"]["labels"][label]: obj["metadata"]["name"]
        for obj in objects
        if label in obj["metadata"].get("labels", {})
    }
