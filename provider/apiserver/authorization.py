"""Whether somebody may: SubjectAccessReview, remembered as upstream's aggregated API servers do.

Source: k8s.io/apiserver, DelegatingAuthorizationOptions: 10 s for a yes, 10 s for a no; ``system:masters`` is never
asked about.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from provider.api.resources import SUBJECTACCESSREVIEW
from provider.api.subresources import GROUP, VERSION
from provider.apiserver.caller import Caller
from provider.apiserver.errors import Denied
from provider.apiserver.remembering import Remembered
from provider.apiserver.routes import Route
from provider.runtime.client import KubeClient
from provider.runtime.controller import Json

GRANTED_S, REFUSED_S = 10.0, 10.0
_MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and what the authoriser said."""

    allowed: bool
    reason: str = ""


class Authorization:
    """Asks the API server, whatever authorises there."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._decisions: Remembered[tuple[object, ...], Decision] = Remembered(clock)

    async def require(self, caller: Caller, route: Route, namespace: str | None, name: str) -> None:
        """Return if ``caller`` may do all that the route is. Raises ``Denied``, ``KubeError``."""
        for verb in route.verbs:
            decision = await self._decide(caller, route, verb, namespace, name)
            if not decision.allowed:
                raise Denied(
                    _refusal(caller, route, verb, namespace, name, decision.reason), kind=route.resource, name=name
                )

    async def allows(self, caller: Caller, route: Route, namespace: str | None, name: str) -> bool:
        """Whether ``caller`` may, asked anew: for what goes on for long."""
        for verb in route.verbs:
            decision = await self._decide(caller, route, verb, namespace, name, anew=True)
            if not decision.allowed:
                return False
        return True

    async def _decide(
        self, caller: Caller, route: Route, verb: str, namespace: str | None, name: str, *, anew: bool = False
    ) -> Decision:
        if _MASTERS in caller.groups:
            return Decision(True)
        key = (caller.key, route.resource, route.subresource, verb, namespace, name)
        known = None if anew else self._decisions.get(key)
        if known is not None:
            return known
        attributes: Json = {
            "group": GROUP,
            "version": VERSION,
            "resource": route.resource,
            "subresource": route.subresource,
            "verb": verb,
            "name": name,
        }
        if namespace is not None:
            attributes["namespace"] = namespace
        review = {**caller.subject(), "resourceAttributes": attributes}
        answer = await self._client.review(SUBJECTACCESSREVIEW, review, subject=f"the rights of {caller.name}")
        status = answer.get("status", {})
        decision = Decision(bool(status.get("allowed")) and not status.get("denied"), str(status.get("reason") or ""))
        self._decisions.put(key, decision, GRANTED_S if decision.allowed else REFUSED_S)
        return decision


def _refusal(caller: Caller, route: Route, verb: str, namespace: str | None, name: str, reason: str) -> str:
    place = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    because = f": {reason}" if reason else ""
    return (
        f'User "{caller.name}" cannot {verb} resource "{route.resource}/{route.subresource}" in API group "{GROUP}"'
        f"{place}, of {name}{because}; ask an administrator for a role that has it"
    )
