"""``Volume``: one PVC, blank or cloned from an image. Its external-name is the PVC's name."""

from pydantic import ConfigDict, Field

from provider.api.managed import ManagedSpec, ManagedStatus
from provider.api.meta import KubeObject
from provider.api.schema import API_MODEL_CONFIG, SIZE_GROWS, ApiModel, ObjectName, Quantity, cel, validations


class VolumeParameters(ApiModel):
    """What the volume should be."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                SIZE_GROWS,
                "a volume cannot shrink: write the present size or a larger one",
            ),
            cel(
                "has(self.image) == has(oldSelf.image) && (!has(self.image) || self.image == oldSelf.image)",
                "image is immutable: make a new volume instead",
            ),
            cel("!has(self.imageDigest) || has(self.image)", "imageDigest pins an image: name the image in image"),
            cel(
                "!has(oldSelf.imageDigest) || (has(self.imageDigest) && self.imageDigest == oldSelf.imageDigest)",
                "imageDigest is immutable once it is set: it pins what the volume was cloned from",
            ),
            cel(
                "has(self.storageClassName) == has(oldSelf.storageClassName)"
                " && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
                "storageClassName is immutable: make a new volume instead",
            ),
        ),
    )

    size: Quantity = Field(description="Size, such as 20Gi. It can grow; it never shrinks.")
    image: ObjectName | None = Field(
        default=None, description="MachineImage that the volume is a copy-on-write clone of; blank without one."
    )
    image_digest: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="sha256 of the image's bytes, resolved once: the pin that keeps a later image from mattering.",
    )
    storage_class_name: ObjectName | None = Field(
        default=None, description="StorageClass; without one, that of the ClusterProviderConfig."
    )


class VolumeSpec(ManagedSpec):
    """Desired volume."""

    for_provider: VolumeParameters = Field(description="What the volume should be.")


class VolumeObservation(ApiModel):
    """The PVC and its PV as they stand."""

    persistent_volume_claim: str | None = Field(default=None, description="Name of the PVC, in this namespace.")
    phase: str | None = Field(default=None, description="Phase of the PVC: Pending, Bound or Lost.")
    persistent_volume: str | None = Field(default=None, description="Name of the PV that is bound to it.")
    driver: str | None = Field(default=None, description="CSI driver of the PV.")
    volume_handle: str | None = Field(default=None, description="The driver's handle of the volume.")
    size_bytes: int | None = Field(default=None, description="Size of the volume in bytes.")


class VolumeStatus(ManagedStatus):
    """Observed volume."""

    at_provider: VolumeObservation = Field(default=VolumeObservation(), description="What was seen.")


class Volume(KubeObject):
    """A cloud volume of one machine."""

    spec: VolumeSpec
    status: VolumeStatus = VolumeStatus()
