"""``ClusterProviderConfig``: storage and BMC defaults of the installation."""

from typing import Any

from pydantic import Field

from provider.api.meta import ObjectMeta
from provider.api.schema import ApiModel, ObjectName


class ClusterProviderConfigSpec(ApiModel):
    """Defaults for objects that do not say otherwise."""

    storage_class_name: ObjectName = Field(description="StorageClass of disks that name none.")
    power_poll_interval_seconds: int = Field(
        default=60, ge=10, le=3600, description="How often the power of a settled server is read from its BMC."
    )


class ClusterProviderConfig(ApiModel):
    """Defaults of the installation; managed resources use the one named default."""

    metadata: ObjectMeta
    spec: ClusterProviderConfigSpec

    @classmethod
    def parse(cls, obj: dict[str, Any]) -> "ClusterProviderConfig":
        """The model of an object as the API server sends it."""
        return cls.model_validate(obj)
