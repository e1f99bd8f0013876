"""What calling a CSI driver can lead to.

::

    CSIError                a driver refused: its gRPC code says what kind of refusal
    └── CSIUnavailable      no answer, or "try later": the outcome is unknown, and the same call may be made again
"""

import grpc

from provider.runtime.errors import MetalplaneError

RETRYABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
    }
)
"""Codes after which the CSI specification wants the same call again ("Error scheme")."""


NOTHING_EXISTS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""Codes of CreateVolume that leave no volume of that name, neither by this call nor by one before ("CreateVolume
Errors")."""


class CSIError(MetalplaneError):
    """The driver refused.

    ``nothing_exists``: it has no volume of the name that was asked for; ``unimplemented``: it has no such method.
    """

    nothing_exists = False
    unimplemented = False


class CSIUnavailable(CSIError):
    """The driver did not answer, or asks to be called again."""


def from_grpc(error: grpc.aio.AioRpcError, *, attempt: str, subject: str, driver: str) -> CSIError:
    """The error for a failed call."""
    cause = f"CSI driver {driver} answered {error.code().name}: {error.details()}"
    if error.code() in RETRYABLE:
        return CSIUnavailable(attempt, subject=subject, cause=cause, next_step="it is tried again by itself")
    refused = CSIError(attempt, subject=subject, cause=cause)
    refused.nothing_exists = error.code() in NOTHING_EXISTS
    refused.unimplemented = error.code() is grpc.StatusCode.UNIMPLEMENTED
    return refused
