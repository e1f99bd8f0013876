"""Whose server is it? No child spec is trusted: a tenant may write any of it, and point it anywhere.

A child may act on a server only if ``Server.spec.claimRef`` names, by UID, a ServerClaim of the child's own namespace
that is controlled by the same machine as the child. The claim's status is only a hint where to look.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from provider.api.emulation import MachineReference
from provider.api.meta import ObjectMeta
from provider.api.reasons import Reason
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim


@dataclass(frozen=True, slots=True)
class Hold:
    """A proof that ``machine`` holds ``server`` through ``claim``."""

    server: Server
    claim: ServerClaim
    machine: MachineReference

    @property
    def dpu_name(self) -> str:
        """The DPU that sits in the server."""
        return self.server.spec.dpu.name


@dataclass(frozen=True, slots=True)
class NoHold:
    """Why there is no such proof. ``refused``: it will not come by waiting."""

    reason: Reason
    message: str
    refused: bool


def machine_of(child: ObjectMeta) -> MachineReference | None:
    """The machine that controls a child."""
    for owner in child.owner_references:
        if owner.controller:
            return MachineReference(namespace=child.namespace or "", name=owner.name, uid=owner.uid)
    return None


def holds(server: Server, claim: ServerClaim) -> bool:
    """Whether the server says that this very claim holds it."""
    ref = server.spec.claim_ref
    return ref is not None and bool(ref.uid) and ref.uid == claim.metadata.uid


def prove_hold(child: ObjectMeta, claim: ServerClaim | None, servers: Iterable[Server]) -> Hold | NoHold:
    """The hold under which ``child`` may act, or why there is none. ``claim`` is what it refers to, if that exists."""
    machine = machine_of(child)
    if machine is None:
        return _not_yours("this object has no controlling machine: make a BareMetalMachine, and it makes its children")
    if claim is None:
        return NoHold(Reason.SERVER_NOT_BOUND, "its ServerClaim does not exist yet", refused=False)
    if claim.metadata.namespace != child.namespace or claim.metadata.controller_uid != machine.uid:
        return _not_yours(f"ServerClaim {claim.metadata.name} belongs to another machine: refer to this machine's own")
    held = list(servers)
    server = next((server for server in held if holds(server, claim)), None)
    if server is None:
        return _unbound(claim, held)
    # Whoever goes away has to put in order what is his, also on a server that is no longer open to him.
    if not child.deleting and not server.allows(child.namespace or ""):
        return _not_yours(
            f"Server {server.metadata.name} is no longer open to namespace {child.namespace}: "
            "ask its operator to add the namespace to spec.allowedNamespaces"
        )
    return Hold(server, claim, machine)


def _unbound(claim: ServerClaim, servers: list[Server]) -> NoHold:
    named = claim.status.at_provider.server_name
    if any(server.metadata.name == named and server.spec.claim_ref is not None for server in servers):
        return _not_yours(f"Server {named} is held by another claim, whatever ServerClaim {claim.metadata.name} says")
    return NoHold(Reason.SERVER_NOT_BOUND, f"ServerClaim {claim.metadata.name} has no server yet", refused=False)


def _not_yours(message: str) -> NoHold:
    return NoHold(Reason.SERVER_NOT_YOURS, message, refused=True)
