"""Whether the machine's kind is this engine's to compose, or belongs to a Crossplane that runs in the cluster."""

from provider.api.resources import BAREMETALMACHINE, CUSTOMRESOURCEDEFINITION
from provider.composition.errors import EngineRefused
from provider.runtime.client import KubeClient

_XRD = "CompositeResourceDefinition"


async def refuse_foreign_kind(client: KubeClient) -> None:
    """Raise ``EngineRefused`` where the machine's CRD was made from an XRD: two engines would fight over machines."""
    name = f"{BAREMETALMACHINE.plural}.{BAREMETALMACHINE.group}"
    crd = await client.get(CUSTOMRESOURCEDEFINITION, name)
    owners = [owner for owner in crd["metadata"].get("ownerReferences", ()) if owner["kind"] == _XRD]
    if owners:
        raise EngineRefused(
            "compose",
            subject=BAREMETALMACHINE.kind,
            cause=f"its CRD belongs to the {_XRD} {owners[0]['name']} of a Crossplane in this cluster",
            next_step="start the provider with --engine=off",
        )
