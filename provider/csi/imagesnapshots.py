"""Which driver may have a snapshot of which content: an annotation of the MachineImage, beside our finalizer. Pure.

``metalplane.io/image-snapshots: <driver>/<sha256> ...``. It is written before the driver is asked for the first clone,
and an entry goes once the driver was told to delete its snapshot, or another image answers for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provider.api.machineimage import MachineImage
from provider.api.names import ANNOTATION_IMAGE_SNAPSHOTS


@dataclass(frozen=True, slots=True, order=True)
class ImageSnapshot:
    """The snapshot that a driver has of an image's content."""

    driver: str
    sha256: str

    @property
    def handle(self) -> str:
        """Its id in CSI, agreed upon with the drivers that take ``imageSha256``."""
        return f"image-{self.sha256}"


def recorded(image: MachineImage) -> Sequence[ImageSnapshot]:
    """Those that the image answers for."""
    entries = image.metadata.annotations.get(ANNOTATION_IMAGE_SNAPSHOTS, "").split()
    return sorted({ImageSnapshot(*entry.split("/")) for entry in entries if entry.count("/") == 1})


def outdated(image: MachineImage) -> Sequence[ImageSnapshot]:
    """Those whose content the image does not name any more, because it goes or was given another content."""
    return [each for each in recorded(image) if image.metadata.deleting or each.sha256 != image.spec.sha256]


def named_by(images: Iterable[MachineImage], sha256: str) -> str | None:
    """An image that stays and has that content."""
    staying = (image for image in images if not image.metadata.deleting)
    return next((image.metadata.name for image in staying if image.spec.sha256 == sha256), None)


def with_one_more(image: MachineImage, snapshot: ImageSnapshot) -> dict[str, str]:
    """The annotation of an image that answers for one more."""
    return _annotation({*recorded(image), snapshot})


def without(image: MachineImage, snapshot: ImageSnapshot) -> dict[str, str]:
    """The annotation of an image that answers for one no more."""
    return _annotation({*recorded(image)} - {snapshot})


def _annotation(snapshots: Iterable[ImageSnapshot]) -> dict[str, str]:
    return {ANNOTATION_IMAGE_SNAPSHOTS: " ".join(f"{each.driver}/{each.sha256}" for each in sorted(snapshots))}
