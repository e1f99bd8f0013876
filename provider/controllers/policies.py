"""managementPolicies: what a controller may do with the external resource."""

from collections.abc import Sequence

from provider.api.managed import ALLOWED_POLICIES

EVERYTHING = frozenset({"Observe", "Create", "Update", "Delete", "LateInitialize"})


def granted(policies: Sequence[str]) -> frozenset[str] | None:
    """The actions that are allowed; None for a combination that means nothing."""
    wanted = frozenset(policies)
    if wanted not in ALLOWED_POLICIES:
        return None
    return EVERYTHING if "*" in wanted else wanted


def fault(policies: Sequence[str]) -> str:
    """What to write instead of a combination that means nothing."""
    return (
        f"managementPolicies {sorted(policies)} is not supported: write ['*'], ['Observe'], or Observe and Create "
        "together with Update, Delete or both"
    )
