"""What a caller may say with each verb. A field exists only when it works; one that is not known is refused.

Sizes, names and addresses are judged by the API server when they are written into the machine: there is one admission,
and its words are passed on.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from provider.api.resettype import RequestedReset
from provider.api.schema import API_MODEL_CONFIG, ApiModel
from provider.api.subresources import API_VERSION

MAX_GRACE_S = 3600
_EPHEMERAL = (
    "Add it until the machine is next off, and not to its spec: so also to a machine whose spec git looks after."
)


class Options(ApiModel):
    """What every verb takes."""

    model_config = ConfigDict(**{**API_MODEL_CONFIG, "extra": "forbid"})

    api_version: str | None = Field(default=None, description="subresources.metalplane.io/v1alpha1.")
    kind: str | None = Field(default=None, description="Kind of these options.")
    metadata: dict[str, Any] | None = Field(default=None, description="Ignored: the path names the object.")
    dry_run: list[Literal["All"]] = Field(
        default_factory=list, max_length=1, description='["All"]: say what would be done, and do nothing.'
    )


class StartOptions(Options):
    """Have the machine powered on."""


class StopOptions(Options):
    """Have the machine powered off."""

    force: bool = Field(default=False, description="Cut the power at once: the operating system is not asked.")
    grace_period_seconds: int | None = Field(
        default=None,
        ge=0,
        le=MAX_GRACE_S,
        description="How long the operating system has to shut down before the power is cut; without it "
        "spec.terminationGracePeriodSeconds.",
    )


class RestartOptions(Options):
    """Have the machine powered off and on again."""

    force: bool = Field(default=False, description="Cut the power at once: the operating system is not asked.")
    grace_period_seconds: int | None = Field(
        default=None,
        ge=0,
        le=MAX_GRACE_S,
        description="How long the operating system has to shut down; without it spec.terminationGracePeriodSeconds.",
    )
    force_after_grace_period: bool = Field(
        default=False,
        description="Cut the power of a machine that has not shut down in time; without it the restart fails then, and "
        "the machine goes on.",
    )


class ResetOptions(Options):
    """Reset the machine's hardware, its power left on."""


class AddVolumeOptions(Options):
    """Give the machine a disk more: an item of spec.disks, or an ephemeral one."""

    name: str = Field(description="Name of the disk, unique within the machine.")
    size: str = Field(description="Size of the disk, such as 20Gi.")
    image: str | None = Field(default=None, description="MachineImage that the disk starts as a clone of.")
    storage_class: str | None = Field(default=None, description="StorageClass of the volume.")
    keep: bool | None = Field(
        default=None, description="Whether the volume outlives the machine; true if not said, false if ephemeral."
    )
    ephemeral: bool = Field(default=False, description=_EPHEMERAL)


class RemoveVolumeOptions(Options):
    """Take a disk from the machine."""

    name: str = Field(description="Name of the disk.")
    force: bool = Field(
        default=False,
        description="Take it from an operating system that does not let go of it. What was not written yet is lost.",
    )


class AddNicOptions(Options):
    """Give the machine a network interface more: an item of spec.networkInterfaces, or an ephemeral one."""

    name: str = Field(description="Name of the interface, unique within the machine.")
    network: str = Field(description="Network to join.")
    address: str | None = Field(default=None, description="IPv4 address with prefix; a free one if not given.")
    mac: str | None = Field(default=None, description="MAC address; a stable one is derived if not given.")
    ephemeral: bool = Field(default=False, description=_EPHEMERAL)


class RemoveNicOptions(Options):
    """Take a network interface from the machine."""

    name: str = Field(description="Name of the interface.")
    force: bool = Field(default=False, description="Take it from an operating system that does not let go of it.")


class ExpandOptions(Options):
    """Make a disk of the machine larger, while it runs."""

    name: str = Field(description="Name of the disk.")
    size: str = Field(description="New size of the disk, such as 40Gi.")


class PowerOptions(Options):
    """Switch the power of the machine that holds a server, as its operator."""

    action: RequestedReset = Field(description="Redfish ResetType of what is asked for.")
    grace_period_seconds: int | None = Field(
        default=None, ge=0, le=MAX_GRACE_S, description="How long the operating system has to shut down."
    )


class Result(ApiModel):
    """What every answer says of itself."""

    api_version: str = Field(default=API_VERSION, description="Version of this answer.")
    kind: str = Field(description="Kind of this answer.")
    metadata: dict[str, str] = Field(description="Name (and namespace) of the object that it is about.")


class ActionResult(Result):
    """What a verb did."""

    kind: str = "ActionResult"
    action: str = Field(description="The verb.")
    message: str = Field(description="What was written, and what follows from it.")
    request_id: str | None = Field(
        default=None, description="Id of a power request: status.atProvider.request of the PowerState tells of it."
    )
    dry_run: bool = Field(default=False, description="Whether nothing was written.")


class PowerReport(Result):
    """The power of a server."""

    kind: str = "PowerReport"
    machine: str | None = Field(default=None, description="Machine that holds the server, as namespace/name.")
    state: Literal["On", "Off", "Unknown"] = Field(description="Power as the BMC last said.")
    message: str = Field(default="", description="Why the power is not known.")
    request: dict[str, Any] | None = Field(default=None, description="The last power request, and how far it is.")


class TraceSpan(ApiModel):
    """One step of a trace (OpenTelemetry, ``trace.proto``: Span). Ids are lower-case hex."""

    trace_id: str = Field(description="Id of the trace: the machine's UID.")
    span_id: str = Field(description="Id of the span.")
    parent_span_id: str = Field(default="", description="Id of the span that this one is part of.")
    name: str = Field(description="What was done.")
    service: str = Field(description="Process that did it.")
    start_time_unix_nano: str = Field(description="Begin, in nanoseconds since the epoch.")
    end_time_unix_nano: str = Field(description="End, in nanoseconds since the epoch.")
    error: str = Field(default="", description="Why it failed; empty if it did not.")
    attributes: dict[str, Any] = Field(default_factory=dict, description="What it was done on.")


class Trace(Result):
    """How a machine came to be, step by step."""

    kind: str = "Trace"
    trace_id: str = Field(description="Id of the trace: the machine's UID.")
    source: Literal["spans", "timeline"] = Field(
        description="spans: as the processes recorded them; timeline: from the machine's status, for want of spans."
    )
    spans: list[TraceSpan] = Field(description="The steps, by the time that they began.")
