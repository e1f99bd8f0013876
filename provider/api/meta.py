"""Object metadata, as far as our code reads it."""

from collections import OrderedDict
from datetime import datetime
from typing import Any, Self

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


class KubeObject(ApiModel):
    """An object of the API. ``spec`` and ``status`` are its kind's."""

    metadata: ObjectMeta

    @classmethod
    def parse(cls, obj: dict[str, Any]) -> Self:
        """The model of an object as the API server sends it.

        One and the same ``obj`` is read once: it must not be changed afterwards, as the model cannot be.
        """
        known = _PARSED.get((cls, id(obj)))
        if known is not None and known[0] is obj:
            _PARSED.move_to_end((cls, id(obj)))
            assert isinstance(known[1], cls)
            return known[1]
        model = cls.model_validate(obj)
        _PARSED[cls, id(obj)] = (obj, model)
        if len(_PARSED) > _REMEMBERED:
            _PARSED.popitem(last=False)
        return model


_REMEMBERED = 2048
_PARSED: OrderedDict[tuple[type, int], tuple[dict[str, Any], ApiModel]] = OrderedDict()
"""By the object's identity, which is its own for as long as it is kept here."""
