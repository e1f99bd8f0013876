"""What every managed resource has in common: Crossplane's contract (crossplane-runtime, ``apis/common``).

Left out on purpose, because nothing would act on them: ``initProvider`` and ``writeConnectionSecretToRef``.
"""

from typing import Literal

from pydantic import Field

from provider.api.conditions import Condition
from provider.api.schema import ApiModel, ObjectName, list_map

ManagementAction = Literal["Observe", "Create", "Update", "Delete", "LateInitialize", "*"]

ALLOWED_POLICIES: frozenset[frozenset[str]] = frozenset(
    frozenset(policy)
    for policy in (
        {"*"},
        {"Observe", "Create", "Update", "Delete", "LateInitialize"},
        {"Observe"},
        set[str](),
        {"Observe", "Create", "Update", "Delete"},
        {"Observe", "Create", "Update", "LateInitialize"},
        {"Observe", "Create", "Update"},
        {"Observe", "Create", "Delete", "LateInitialize"},
        {"Observe", "Create", "LateInitialize"},
        {"Observe", "Create", "Delete"},
        {"Observe", "Create"},
        {"Observe", "Delete"},
        {"Observe", "Update"},
        {"Observe", "LateInitialize"},
        {"Observe", "Update", "LateInitialize"},
    )
)
"""The sets of managementPolicies that mean something; any other is reported as Synced=False."""


class Reference(ApiModel):
    """Another object of the same namespace, by name."""

    name: ObjectName = Field(description="Name of the object.")


class Selector(ApiModel):
    """Finds the object to refer to; the name found is written into the reference beside it."""

    match_controller_ref: bool = Field(
        default=False, description="Only an object with the same controlling owner (a sibling of the same machine)."
    )
    match_labels: dict[str, str] | None = Field(default=None, description="Labels that must all be present.")


class ProviderConfigReference(ApiModel):
    """The configuration that the controllers use for this object."""

    kind: Literal["ClusterProviderConfig"] = Field(
        default="ClusterProviderConfig", description="Kind of the configuration."
    )
    name: ObjectName = Field(default="default", description="Name of the configuration.")


class ManagedSpec(ApiModel):
    """The part of spec that all managed resources share."""

    management_policies: list[ManagementAction] = Field(
        default=["*"],
        description="What the controller may do with the external resource: '*' is all of Observe, Create, Update, "
        "Delete and LateInitialize; ['Observe'] only reports; leave out Delete to keep the external resource when this "
        "object goes.",
    )
    provider_config_ref: ProviderConfigReference = Field(
        default=ProviderConfigReference(), description="Storage and BMC defaults to use."
    )


class ManagedStatus(ApiModel):
    """The part of status that all managed resources share."""

    observed_generation: int = Field(
        default=-1,
        description="metadata.generation that the controller last acted on; -1 before it has seen the object.",
    )
    last_handled_reconcile_at: str | None = Field(
        default=None, description="Echo of the annotation crossplane.io/reconcile-requested-at once it was honoured."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Ready: the external resource is as wanted. Synced: the last reconcile went through.",
        json_schema_extra=list_map("type"),
    )
