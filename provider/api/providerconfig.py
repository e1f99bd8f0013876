"""``ClusterProviderConfig``: storage and BMC defaults of the installation."""

from pydantic import Field

from provider.api.meta import KubeObject
from provider.api.schema import ApiModel, ObjectName


class ClusterProviderConfigSpec(ApiModel):
    """Defaults for objects that do not say otherwise."""

    storage_class_name: ObjectName = Field(description="StorageClass of disks that name none.")
    power_poll_interval_seconds: int = Field(
        default=60,
        ge=10,
        le=3600,
        description="How often the power of a settled server is read from its BMC; ten times as seldom while its DPU's "
        "agent sees it use its boot disk, for that tells sooner when the power goes.",
    )


class ClusterProviderConfig(KubeObject):
    """Defaults of the installation; managed resources use the one named default."""

    spec: ClusterProviderConfigSpec
