"""``MachineImage``: a golden image, and the namespaces that may clone it."""

from pydantic import Field

from provider.api.meta import KubeObject
from provider.api.schema import ApiModel


class MachineImageSpec(ApiModel):
    """The bytes of the image, by digest. The storage node finds them as ``<sha256>.raw`` in its image directory."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the raw image, in lower-case hex.")
    size_bytes: int = Field(ge=1, description="Size of the raw image in bytes: the smallest disk that it fits on.")
    allowed_namespaces: list[str] = Field(
        default_factory=list, max_length=256, description="Namespaces that may clone the image; '*' is any."
    )


class MachineImage(KubeObject):
    """A golden image that machines boot clones of."""

    spec: MachineImageSpec

    def allows(self, namespace: str) -> bool:
        """Whether ``namespace`` may clone the image."""
        return "*" in self.spec.allowed_namespaces or namespace in self.spec.allowed_namespaces
