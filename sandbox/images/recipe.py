"""What a recipe is: a package of this one whose module has these names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sandbox.images.packages import Package


class Recipe(Protocol):
    """One golden image. Sizes are bytes; identities are fixed, so that nothing but packages and recipe decides bytes.

    ``OWNERS_KEPT``: files keep the owners that they have in the tree; else everything belongs to root.
    """

    SIZE_BYTES: int
    LABEL: str
    UUID: str
    DISK_SIGNATURE: int
    EPOCH_S: int
    OWNERS_KEPT: bool

    def packages(self) -> list[Package]:
        """The packages whose versions decide what is built, in those of apt's index."""
        ...

    def lay_out(self, packages: Sequence[Package], work: Path) -> Path:
        """Make the root file system's tree, /boot included, somewhere below ``work``. Raises ``ImageError``."""
        ...
