"""``PowerState``: desired and observed power of one server, through its BMC."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from provider.api.managed import ManagedSpec, ManagedStatus, Reference, Selector
from provider.api.meta import KubeObject
from provider.api.schema import API_MODEL_CONFIG, ApiModel, cel, validations

Power = Literal["On", "Off"]


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


class PowerStateSpec(ManagedSpec):
    """Desired power."""

    for_provider: PowerStateParameters = Field(description="What the power should be.")


class PowerTransition(ApiModel):
    """A change of power under way: what was asked of the BMC, and when."""

    action: Literal["On", "GracefulShutdown", "ForceOff"] = Field(
        description="Redfish ResetType of the command that was sent last."
    )
    started_at: datetime = Field(description="When the change of power began.")
    asked_at: datetime = Field(description="When the command was last sent.")


class PowerStateObservation(ApiModel):
    """The power as the BMC reports it."""

    server_name: str | None = Field(default=None, description="Server whose power this is.")
    state: Literal["On", "Off", "Unknown"] | None = Field(default=None, description="Power as the BMC last said.")
    transition: PowerTransition | None = Field(default=None, description="A change of power that is under way.")
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
