"""The error tree of the control plane.

::

    MetalplaneError                 what was attempted, on what, why it failed, what to do next
    ├── ConfigurationError          arguments, kubeconfig or installation are wrong: a human must act
    ├── LeadershipLost              another process may write now; this one must stop
    ├── TaskEnded                   a part of the process that runs for ever does not; all of it must be started anew
    └── KubeError                   the Kubernetes API answered with a failure (status, reason)
        ├── NotFound                404
        ├── AlreadyExists           409, reason AlreadyExists
        ├── Conflict                409: somebody wrote first (a compare-and-swap lost)
        ├── Invalid                 422: the object is refused as it stands
        ├── Forbidden               401 or 403
        └── Unavailable             429, 5xx, or no answer at all: the outcome of a write is unknown
"""

from collections.abc import Mapping
from typing import Any


class MetalplaneError(Exception):
    """Something did not work. ``str()`` reads as one sentence for a log, an event or a condition's message."""

    def __init__(self, attempt: str, *, subject: str, cause: str = "", next_step: str = "") -> None:
        self.attempt = attempt
        self.subject = subject
        self.cause = cause
        self.next_step = next_step
        super().__init__(attempt, subject, cause, next_step)

    def __str__(self) -> str:
        text = f"cannot {self.attempt} {self.subject}".rstrip()
        if self.cause:
            text += f": {self.cause}"
        if self.next_step:
            text += f"; {self.next_step}"
        return text


class ConfigurationError(MetalplaneError):
    """The process was started with settings that cannot work."""


class LeadershipLost(MetalplaneError):
    """The Lease is no longer provably ours: no external change may follow."""


class TaskEnded(MetalplaneError):
    """Half a process looks alive and is not: without this task it must be started anew."""


class KubeError(MetalplaneError):
    """The API server refused or failed. ``status`` is the HTTP code (0: no answer), ``reason`` Kubernetes' own word."""

    def __init__(
        self, attempt: str, *, subject: str, cause: str = "", next_step: str = "", status: int = 0, reason: str = ""
    ) -> None:
        super().__init__(attempt, subject=subject, cause=cause, next_step=next_step)
        self.status = status
        self.reason = reason


class NotFound(KubeError):
    """There is no such object."""


class AlreadyExists(KubeError):
    """An object of that name is there already."""


class Conflict(KubeError):
    """The object changed since it was read: read again and decide again."""


class Invalid(KubeError):
    """The API server refuses the object as it stands; repeating it cannot help."""


class Forbidden(KubeError):
    """This identity may not do that."""


class Unavailable(KubeError):
    """No usable answer: the API server is away or overloaded; a write may or may not have happened."""


_NEXT_STEPS = {
    Conflict: "it is read again and retried",
    Forbidden: "check the Role or ClusterRole of this process's user",
    Unavailable: "it is retried",
}


_OVER_QUOTA = "ask for a larger ResourceQuota, or delete what is not needed"


def kube_error(attempt: str, subject: str, status: int, body: Mapping[str, Any]) -> KubeError:
    """The typed error for an HTTP ``status`` and the ``Status`` object (or ``{}``) that came with it."""
    reason = str(body.get("reason", ""))
    error = _error_class(status, reason)
    cause = str(body.get("message", "")) or f"HTTP {status}"
    next_step = _OVER_QUOTA if "exceeded quota" in cause else _NEXT_STEPS.get(error, "")
    return error(attempt, subject=subject, cause=cause, next_step=next_step, status=status, reason=reason)


def _error_class(status: int, reason: str) -> type[KubeError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if status == 429 or status >= 500:
        return Unavailable
    return {401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Conflict, 422: Invalid}.get(
        status, KubeError
    )
