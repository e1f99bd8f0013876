"""``ServerClaim``: binds one Server to a machine, as a PVC binds a PV. The scheduler is its controller."""

from pydantic import Field

from provider.api.managed import ManagedSpec, ManagedStatus
from provider.api.meta import KubeObject
from provider.api.schema import ApiModel, LabelSelector, Quantity


class ServerClaimParameters(ApiModel):
    """What a server must be to fit. Pinned when the machine is made, so a changed InstanceType moves nobody."""

    instance_type: str | None = Field(default=None, description="InstanceType that these requirements came from.")
    cpus: int | None = Field(default=None, ge=1, description="CPUs that the server must have at least.")
    memory: Quantity | None = Field(default=None, description="Memory that the server must have at least.")
    server_selector: LabelSelector | None = Field(default=None, description="Labels that the server must have.")
    disks: int = Field(default=1, ge=1, description="PCIe disk slots that the server must have at least.")
    nics: int = Field(default=0, ge=0, description="NIC slots that the server must have at least.")


class ServerClaimSpec(ManagedSpec):
    """Desired binding."""

    for_provider: ServerClaimParameters = Field(description="What a server must be to fit.")


class ServerClaimObservation(ApiModel):
    """The binding as it stands in ``Server.spec.claimRef``."""

    server_name: str | None = Field(default=None, description="Server that is bound.")
    server_uid: str | None = Field(default=None, description="UID of that server.")
    dpu_name: str | None = Field(default=None, description="DPU that sits in that server.")


class ServerClaimStatus(ManagedStatus):
    """Observed binding."""

    at_provider: ServerClaimObservation = Field(default=ServerClaimObservation(), description="What was seen.")


class ServerClaim(KubeObject):
    """A machine's hold on one server."""

    spec: ServerClaimSpec
    status: ServerClaimStatus = ServerClaimStatus()
