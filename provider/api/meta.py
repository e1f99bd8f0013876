"""Object metadata, as far as our code reads it."""

from datetime import datetime

from pydantic import Field

from provider.api.schema import ApiModel


class OwnerReference(ApiModel):
    """One entry of ``metadata.ownerReferences``."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(ApiModel):
    """``metadata`` of any object."""

    name: str = ""
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    owner_references: list[OwnerReference] = Field(default_factory=list)

    @property
    def deleting(self) -> bool:
        """Whether somebody asked for the object to go."""
        return self.deletion_timestamp is not None

    @property
    def controller_uid(self) -> str | None:
        """UID of the controlling owner: for a composed resource, of its machine."""
        return next((owner.uid for owner in self.owner_references if owner.controller), None)
