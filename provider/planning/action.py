"""The closed union of what a plan can ask for. Each is harmless to carry out again, but a reset of a running server.

``policy`` is the managementPolicies action that must be allowed for it; ``note`` is what the Event will say, and an
action without one is not worth an Event.
"""

from dataclasses import dataclass
from typing import Any, Literal

from provider.api.resources import ResourceType

Json = dict[str, Any]
Policy = Literal["Create", "Update", "Delete"]


@dataclass(frozen=True, slots=True)
class CreateObject:
    """Make an object that must not be there yet. Who comes second is refused: that is how a claim is exclusive."""

    resource: ResourceType
    body: Json
    note: str = ""
    policy: Policy = "Create"


@dataclass(frozen=True, slots=True)
class ApplyObject:
    """Server-side apply ``body`` as this kind's field manager."""

    resource: ResourceType
    body: Json
    note: str = ""
    policy: Policy = "Create"


@dataclass(frozen=True, slots=True)
class PatchObject:
    """Merge ``body`` into exactly the version that was observed; anything written since is a conflict."""

    resource: ResourceType
    namespace: str | None
    name: str
    resource_version: str
    body: Json
    note: str = ""
    policy: Policy = "Update"


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Ask for one object, by UID, to go. A namesake stays."""

    resource: ResourceType
    namespace: str | None
    name: str
    uid: str
    note: str = ""
    policy: Policy = "Delete"


@dataclass(frozen=True, slots=True)
class BootFromDisk:
    """Have the firmware of the server boot from its disks."""

    note: str = ""
    policy: Policy = "Update"


@dataclass(frozen=True, slots=True)
class SwitchPower:
    """Ask the server's BMC for a change of power (Redfish ResetType)."""

    reset_type: Literal["On", "GracefulShutdown", "ForceOff", "ForceRestart"]
    note: str = ""
    policy: Policy = "Update"


ObjectAction = CreateObject | ApplyObject | PatchObject | DeleteObject
PowerAction = BootFromDisk | SwitchPower
Action = ObjectAction | PowerAction


def finalizers(
    resource: ResourceType, current: Json, *, add: str | None = None, remove: str | None = None, policy: Policy
) -> PatchObject | None:
    """The action that puts a finalizer on ``current`` or takes one off; None where there is nothing to do."""
    metadata = current["metadata"]
    present: list[str] = metadata.get("finalizers", [])
    wanted = [name for name in present if name != remove]
    if add is not None and add not in wanted:
        wanted.append(add)
    if wanted == present:
        return None
    return PatchObject(
        resource,
        metadata.get("namespace"),
        metadata["name"],
        metadata["resourceVersion"],
        {"metadata": {"finalizers": wanted}},
        policy=policy,
    )


def delete(resource: ResourceType, current: Json, note: str = "") -> DeleteObject | None:
    """The action that asks for ``current`` to go; None if somebody asked already."""
    metadata = current["metadata"]
    if metadata.get("deletionTimestamp"):
        return None
    return DeleteObject(resource, metadata.get("namespace"), metadata["name"], metadata["uid"], note)
