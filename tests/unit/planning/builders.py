"""Objects as the API server would send them, for stories about plans."""

from typing import Any

from provider.api import API_VERSION
from provider.api.meta import ObjectMeta
from provider.api.reasons import Reason
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.planning.tenancy import Hold, NoHold, prove_hold

Json = dict[str, Any]

MACHINE_UID = "11111111-2222-3333-4444-555555555555"
NAMESPACE = "tenant-a"


def obj(kind: str, name: str, spec: Json | None = None, **metadata: Any) -> Json:
    """Any object; ``namespace=None`` for one without a namespace."""
    known = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
    merged = {key: value for key, value in (known | metadata).items() if value is not None}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": merged, "spec": spec or {}}


def child(kind: str, name: str, parameters: Json, *, machine: str = MACHINE_UID, **metadata: Any) -> Json:
    """A managed resource under a machine."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": "BareMetalMachine",
        "name": "bm-01",
        "uid": machine,
        "controller": True,
    }
    return obj(kind, name, {"forProvider": parameters}, ownerReferences=[owner], **metadata)


def server(name: str, *, claim: Json | None = None, **spec: Any) -> Json:
    """A server of 4 CPUs with disk slots 1-2 and 5-8 and NIC slots 3 and 4; held by ``claim`` if given."""
    known: Json = {
        "bmc": {"address": "192.0.2.1", "secretRef": {"name": f"{name}-bmc"}},
        "dpu": {"name": f"dpu-of-{name}"},
        "slots": 8,
        "nicSlots": [{"slot": 3, "representor": "vm0"}, {"slot": 4, "representor": "vm1"}],
        "capacity": {"cpus": 4, "memory": "8Gi"},
    }
    if claim is not None:
        metadata = claim["metadata"]
        known["claimRef"] = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return obj("Server", name, known | spec, namespace=None)


def hold_on(name: str = "s1") -> Hold:
    """A proof that the machine of all builders holds a server."""
    claim = child("ServerClaim", "claim", {})
    held = prove_hold(
        ObjectMeta.model_validate(child("VirtualDisk", "any", {})["metadata"]),
        ServerClaim.parse(claim),
        [Server.parse(server(name, claim=claim))],
    )
    assert isinstance(held, Hold)
    return held


def condition(type_: str, status: str, reason: str, message: str = "") -> Json:
    """A condition of generation 1."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 1,
    }


REFUSED = NoHold(Reason.SERVER_NOT_YOURS, "ServerClaim claim belongs to another machine", refused=True)
UNBOUND = NoHold(Reason.SERVER_NOT_BOUND, "ServerClaim claim has no server yet", refused=False)
DELETED: Json = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
