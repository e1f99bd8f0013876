"""What several kinds look at around an object: its claim and server, its siblings, its machine's departure."""

from collections.abc import Sequence

from provider.api.managed import Reference
from provider.api.meta import ObjectMeta
from provider.api.resources import BAREMETALMACHINE, NAMESPACE, POWERSTATE, SERVERCLAIM, ResourceType
from provider.api.serverclaim import ServerClaim
from provider.controllers.inventory import Inventory
from provider.planning.emulated import STAYS, Departure
from provider.planning.tenancy import Hold, NoHold, machine_of, prove_hold
from provider.runtime.cache import Cache
from provider.runtime.controller import Json, Key


class Surroundings:
    """Reads the cache; changes nothing."""

    def __init__(self, cache: Cache, inventory: Inventory) -> None:
        self._cache = cache
        self._inventory = inventory

    def hold(self, child: ObjectMeta, reference: Reference | None) -> Hold | NoHold:
        """The hold under which the child may act on a server, or why there is none."""
        claim = self._claim(child, reference)
        return prove_hold(child, claim, self._inventory.concerning(claim))

    def siblings(self, child: ObjectMeta, resource: ResourceType) -> Sequence[Json]:
        """Objects of a kind, of the same namespace, under the same machine."""
        owner = child.controller_uid
        if owner is None:
            return ()
        found = self._cache.by_owner(resource, owner)
        return [obj for obj in found if obj["metadata"].get("namespace") == child.namespace]

    def departure(self, child: ObjectMeta) -> Departure:
        """Whether the machine goes away (itself, its namespace, its PowerState), and whose power must be seen off."""
        machine = machine_of(child)
        if machine is None:
            return STAYS
        powers = self.siblings(child, POWERSTATE)
        leaves = (
            self._gone_or_going(Key(machine.namespace, machine.name), machine.uid)
            or self._namespace_ends(machine.namespace)
            or any(power["metadata"].get("deletionTimestamp") for power in powers)
        )
        named = {f"PowerState {power['metadata']['name']}": power for power in powers}
        return Departure(leaves, tuple(named), tuple(name for name, power in named.items() if not _seen_off(power)))

    def _claim(self, child: ObjectMeta, reference: Reference | None) -> ServerClaim | None:
        if reference is None:
            return None
        raw = self._cache.get(SERVERCLAIM, Key(child.namespace, reference.name))
        return None if raw is None else ServerClaim.parse(raw)

    def _gone_or_going(self, key: Key, uid: str) -> bool:
        machine = self._cache.get(BAREMETALMACHINE, key)
        if machine is None or machine["metadata"]["uid"] != uid:
            return True
        return bool(machine["metadata"].get("deletionTimestamp"))

    def _namespace_ends(self, name: str) -> bool:
        namespace = self._cache.get(NAMESPACE, Key(None, name))
        return namespace is None or bool(namespace["metadata"].get("deletionTimestamp"))


def _seen_off(power: Json) -> bool:
    return bool(power.get("status", {}).get("atProvider", {}).get("state") == "Off")
