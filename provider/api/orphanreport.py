"""``OrphanReport``: what is there and belongs to no object, as whoever can see it reports; and what of it is to go.

One on each DPU, in the DPU's namespace, by its agent; one in the installation namespace, by the provider, of the
storage. Only what carries our own names is ever listed: what is somebody else's is nobody's orphan.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from provider.api.meta import KubeObject
from provider.api.schema import ApiModel, list_map

Place = Literal["emulation", "spdk", "ovs", "storage"]
Thing = Literal["Function", "VhostController", "Bdev", "NVMeController", "Port", "Volume", "ImageSnapshot"]

LISTED_AT_MOST = 500
"""An object has room for 1.5 MiB (etcd's limit of a request); storage without its PersistentVolumes may have more."""


class OrphanKey(NamedTuple):
    """What an orphan is found by."""

    where: Place
    kind: Thing
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class _Named(ApiModel):
    where: Place = Field(description="Where it is: emulation, spdk or ovs of the DPU, or the storage.")
    kind: Thing = Field(description="What it is.")
    name: str = Field(min_length=1, max_length=253, description="Name of it there.")
    since: datetime = Field(description="When it was first seen without an owner.")

    @property
    def key(self) -> OrphanKey:
        """What it is found by."""
        return OrphanKey(self.where, self.kind, self.name)


class Removal(_Named):
    """An orphan that is to go. The same ``since`` as reported: one that comes later is another, and stays."""


class Orphan(_Named):
    """Something that belongs to no object."""

    about: str = Field(default="", description="What else is known of it.")
    message: str = Field(
        default="", description="Why it cannot be removed at present, and what to do about that; empty if it can."
    )


class OrphanReportSpec(ApiModel):
    """What is to go."""

    remove: list[Removal] = Field(
        default_factory=list,
        max_length=LISTED_AT_MOST,
        description="Orphans to remove: `bmctl orphans --delete` writes them. Each goes only if it still is one then.",
        json_schema_extra=list_map("where", "kind", "name"),
    )


class OrphanReportStatus(ApiModel):
    """What is there."""

    orphans: list[Orphan] = Field(
        default_factory=list,
        description="Seen at two looks, some seconds apart, and named by no object either time.",
        json_schema_extra=list_map("where", "kind", "name"),
    )
    more: int = Field(default=0, description=f"How many there are beside those listed, which are {LISTED_AT_MOST}.")


class OrphanReport(KubeObject):
    """What is on a DPU, or in the storage, and belongs to no object."""

    spec: OrphanReportSpec = OrphanReportSpec()
    status: OrphanReportStatus = OrphanReportStatus()
