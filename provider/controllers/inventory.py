"""The servers of the cache as models, parsed once for each version."""

from collections.abc import Sequence

from provider.api.resources import SERVER
from provider.api.server import Server
from provider.api.serverclaim import ServerClaim
from provider.controllers.indexes import FREE, SERVERS_BY_CLAIM
from provider.runtime.cache import Cache
from provider.runtime.controller import Json, Key


class Inventory:
    """Reads only; shared by all controllers."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._parsed: dict[str, Server] = {}

    def all(self) -> Sequence[Server]:
        """Every server."""
        servers = [self._parse(raw) for raw in self._cache.list(SERVER)]
        if len(self._parsed) > 2 * len(servers) + 16:
            self._parsed = {server.metadata.uid: server for server in servers}
        return servers

    def free(self) -> Sequence[Server]:
        """Those that no claim holds."""
        return [self._parse(raw) for raw in self._cache.by(SERVERS_BY_CLAIM, FREE)]

    def concerning(self, claim: ServerClaim | None) -> Sequence[Server]:
        """Servers that say they are held by the claim, and the one that the claim names."""
        if claim is None:
            return ()
        found = self._cache.by(SERVERS_BY_CLAIM, claim.metadata.uid)
        name = claim.status.at_provider.server_name
        named = self._cache.get(SERVER, Key(None, name)) if name else None
        if named is not None and named not in found:
            found = [*found, named]
        return [self._parse(raw) for raw in found]

    def _parse(self, raw: Json) -> Server:
        uid, version = raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]
        known = self._parsed.get(uid)
        if known is None or known.metadata.resource_version != version:
            known = self._parsed[uid] = Server.parse(raw)
        return known
