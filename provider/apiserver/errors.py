"""What a caller is told when a request fails: one ``metav1.Status`` for each.

::

    ApiError                    code  reason (Kubernetes API conventions, "Response Status Kind")
    ├── BadRequest              400   BadRequest: the request cannot be read
    ├── Unauthenticated         401   Unauthorized: nobody knows who asks
    ├── Denied                  403   Forbidden: who asks may not
    ├── Missing                 404   NotFound: the object, or a part of it, is not there
    ├── WrongMethod             405   MethodNotAllowed
    ├── StateForbids            409   Conflict: it is there, and its state does not allow this
    ├── TooLarge                413   RequestEntityTooLarge
    ├── WrongContent            415   UnsupportedMediaType
    ├── InvalidOptions          422   Invalid: options that make no sense, each with its field
    ├── TooMany                 429   TooManyRequests
    ├── Broken                  500   InternalError: ours to mend
    └── TryLater                503   ServiceUnavailable: the API server, or a BMC, does not answer

What the API server says of a write of ours is passed on by ``from_kube``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from provider.api.subresources import GROUP
from provider.runtime.errors import AlreadyExists, Conflict, Invalid, KubeError, NotFound, Unavailable

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong, and the field that it is about (``metav1.StatusCause``)."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def to_json(self) -> Json:
        """As it goes over the wire."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """``message`` says what was attempted, on what, why it failed, and what to do next."""

    code: ClassVar[int]
    reason: ClassVar[str]

    def __init__(self, message: str, *, kind: str = "", name: str = "", causes: Sequence[Cause] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.name = name
        self.causes = tuple(causes)

    def status(self) -> Json:
        """The ``metav1.Status`` of this failure."""
        details: Json = {"group": GROUP}
        if self.kind:
            details |= {"name": self.name, "kind": self.kind}
        if self.causes:
            details["causes"] = [cause.to_json() for cause in self.causes]
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code,
        }


class BadRequest(ApiError):
    """The request cannot be read."""

    code, reason = 400, "BadRequest"


class Unauthenticated(ApiError):
    """Nobody knows who asks."""

    code, reason = 401, "Unauthorized"


class Denied(ApiError):
    """Who asks may not."""

    code, reason = 403, "Forbidden"


class Missing(ApiError):
    """The object, or a part of it, is not there."""

    code, reason = 404, "NotFound"


class WrongMethod(ApiError):
    """The path is served, by another method."""

    code, reason = 405, "MethodNotAllowed"


class StateForbids(ApiError):
    """The object is there, and its state does not allow this."""

    code, reason = 409, "Conflict"


class TooLarge(ApiError):
    """The request is longer than any that makes sense."""

    code, reason = 413, "RequestEntityTooLarge"


class WrongContent(ApiError):
    """The request is in a form that is not read here."""

    code, reason = 415, "UnsupportedMediaType"


class InvalidOptions(ApiError):
    """Options that make no sense."""

    code, reason = 422, "Invalid"


class TooMany(ApiError):
    """As many as are allowed are under way."""

    code, reason = 429, "TooManyRequests"


class Broken(ApiError):
    """Ours to mend."""

    code, reason = 500, "InternalError"


class TryLater(ApiError):
    """Something behind this server does not answer."""

    code, reason = 503, "ServiceUnavailable"


def from_kube(error: KubeError) -> ApiError:
    """What a failed request of ours means for the caller. What *we* may not do is our installation's fault, not his."""
    text = str(error)
    match error:
        case NotFound():
            return Missing(text)
        case AlreadyExists() | Conflict():
            return StateForbids(text)
        case Invalid():
            return InvalidOptions(text)
        case Unavailable():
            return TryLater(text)
        case _:
            return Broken(text)
