"""``InstanceType``: a flavor of server that tenants ask for by name."""

from pydantic import Field

from provider.api.meta import KubeObject
from provider.api.schema import ApiModel, LabelSelector, Quantity


class InstanceTypeSpec(ApiModel):
    """What a server must be to count as this type. Machines keep what they were made with."""

    cpus: int = Field(ge=1, description="CPUs that the server must have at least.")
    memory: Quantity = Field(description="Memory that the server must have at least.")
    server_selector: LabelSelector | None = Field(default=None, description="Labels that the server must have.")


class InstanceType(KubeObject):
    """A flavor of server."""

    spec: InstanceTypeSpec
