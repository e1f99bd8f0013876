"""``PowerState``: desired and observed power of one server, through its BMC."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from provider.api.managed import ManagedSpec, ManagedStatus, Reference, Selector
from provider.api.meta import KubeObject
from provider.api.resettype import RequestedReset
from provider.api.schema import API_MODEL_CONFIG, ApiModel, cel, validations

Power = Literal["On", "Off"]
RequestPhase = Literal["Pending", "PoweringOff", "PoweringOn", "Resetting", "Succeeded", "Failed"]


class PowerRequest(ApiModel):
    """A change of power that is no state, asked for once; its ``id`` tells it from the next one that is alike."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                "!has(self.gracePeriodSeconds) || self.action in ['GracefulShutdown', 'GracefulRestart']",
                "only GracefulShutdown and GracefulRestart give time: leave gracePeriodSeconds out",
            ),
            cel(
                "!has(self.forceAfterGracePeriod) || !self.forceAfterGracePeriod"
                " || self.action in ['GracefulShutdown', 'GracefulRestart']",
                "only GracefulShutdown and GracefulRestart give time: leave forceAfterGracePeriod out",
            ),
            cel(
                "self.id != oldSelf.id || self == oldSelf",
                "a request is not changed once it is made: write another one, with an id of its own",
            ),
        ),
    )

    id: str = Field(
        min_length=1,
        max_length=64,
        description="Tells this request from any other; one that is finished is never carried out again.",
    )
    action: RequestedReset = Field(
        description="Redfish ResetType. On, GracefulShutdown and ForceOff are for a server whose state is left as it "
        "is; GracefulRestart has the operating system shut down and starts the server once it was seen off, PowerCycle "
        "cuts the power and does so, ForceRestart resets the server while its power stays on."
    )
    requested_at: datetime = Field(description="When it was asked for.")
    grace_period_seconds: int | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="How long the operating system has to shut down, instead of gracefulShutdownTimeoutSeconds; 0 cuts "
        "the power at once.",
    )
    force_after_grace_period: bool = Field(
        default=False,
        description="Cut the power of a server that did not shut down in time; without it the request ends there as "
        "Failed, and the server runs on.",
    )


class PowerStateParameters(ApiModel):
    """What the power should be."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                "has(self.serverClaimRef) || has(self.serverClaimSelector)",
                "give serverClaimRef (a name) or serverClaimSelector (how to find it)",
            )
        ),
    )

    server_claim_ref: Reference | None = Field(default=None, description="ServerClaim that holds the server.")
    server_claim_selector: Selector | None = Field(default=None, description="How to find the ServerClaim.")
    state: Power | None = Field(default=None, description="On or Off; without it the power is left as it is.")
    graceful_shutdown_timeout_seconds: int = Field(
        default=60,
        ge=0,
        le=3600,
        description="How long the operating system has to shut down before the power is cut; 0 cuts it at once.",
    )
    request: PowerRequest | None = Field(
        default=None,
        description="A change of power to carry out once. A newer one takes the place of one that is not finished. "
        "Where the server is to be off, none switches it on.",
    )


class PowerStateSpec(ManagedSpec):
    """Desired power."""

    for_provider: PowerStateParameters = Field(description="What the power should be.")


class PowerTransition(ApiModel):
    """A change of power under way: what was asked of the BMC, and when."""

    action: Literal["On", "GracefulShutdown", "ForceOff", "ForceRestart"] = Field(
        description="Redfish ResetType of the command that was sent last."
    )
    started_at: datetime = Field(description="When the change of power began.")
    asked_at: datetime = Field(description="When the command was last sent.")
    repairs: bool | None = Field(
        default=None, description="Whether it puts back what somebody else, or the operating system, had switched."
    )


class PowerRequestProgress(ApiModel):
    """How far the request has come."""

    id: str = Field(description="Which request this is about.")
    phase: RequestPhase = Field(
        description="Pending until it is begun; PoweringOff until the server was seen off; PoweringOn until it was "
        "seen on; Resetting until the BMC took the reset; then Succeeded or Failed."
    )
    started_at: datetime = Field(description="When it was taken up, and once it is no longer Pending, when it began.")
    finished_at: datetime | None = Field(default=None, description="When it ended.")
    message: str | None = Field(default=None, description="What it waits for, or why it failed and what to do next.")


class PowerStateObservation(ApiModel):
    """The power as the BMC reports it."""

    server_name: str | None = Field(default=None, description="Server whose power this is.")
    state: Literal["On", "Off", "Unknown"] | None = Field(default=None, description="Power as the BMC last said.")
    transition: PowerTransition | None = Field(default=None, description="A change of power that is under way.")
    request: PowerRequestProgress | None = Field(default=None, description="How far spec.forProvider.request has come.")
    found_on: bool | None = Field(
        default=None,
        description="Whether the server was on, or may have been, before it was started for this machine; its power "
        "is cut before anything else.",
    )


class PowerStateStatus(ManagedStatus):
    """Observed power."""

    at_provider: PowerStateObservation = Field(default=PowerStateObservation(), description="What was seen.")


class PowerState(KubeObject):
    """The power of one machine's server."""

    spec: PowerStateSpec
    status: PowerStateStatus = PowerStateStatus()
