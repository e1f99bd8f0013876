"""What EmulatedDisk and EmulatedNIC share: whose they are, and the trace that they belong to."""

from pydantic import Field

from provider.api.conditions import Condition
from provider.api.schema import ApiModel, list_map


class MachineReference(ApiModel):
    """The machine that a device is shown to."""

    namespace: str = Field(description="Namespace of the machine.")
    name: str = Field(description="Name of the machine.")
    uid: str = Field(description="UID of the machine.")


class TraceParent(ApiModel):
    """Where spans about the device belong (W3C trace context, ids in hex)."""

    trace_id: str = Field(pattern=r"^[0-9a-f]{32}$", description="Trace of the machine's provisioning.")
    parent_span_id: str = Field(pattern=r"^[0-9a-f]{16}$", description="Span that asked for the device.")


class EmulatedStatus(ApiModel):
    """What the DPU's agent reports on any device."""

    observed_generation: int = Field(default=-1, description="metadata.generation that the agent last acted on.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Staged, Exported, Plugged, Ready; Removed once all is undone after a delete.",
        json_schema_extra=list_map("type"),
    )
