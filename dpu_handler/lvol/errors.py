"""What can go wrong, each with the gRPC status that the CSI specification gives it ("Error scheme").

::

    LvolError
    ├── InvalidRequest        INVALID_ARGUMENT
    ├── NoSuchObject          NOT_FOUND
    ├── Incompatible          ALREADY_EXISTS       the name is taken by something else
    ├── NotNow                FAILED_PRECONDITION  the caller must do something first
    ├── SizeOutOfRange        OUT_OF_RANGE
    ├── PoolFull              RESOURCE_EXHAUSTED
    ├── NoSuchPage            ABORTED              begin the list anew
    ├── CallAgain             UNAVAILABLE          it is not there yet, or a moment ago it changed
    ├── TargetAway            UNAVAILABLE          call again, once the target is back
    └── TargetRefused         INTERNAL
"""

from typing import ClassVar

import grpc


class LvolError(Exception):
    """Says what was attempted, on what, why it failed and what to do next."""

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL


class InvalidRequest(LvolError):
    """A field is missing or means nothing."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class NoSuchObject(LvolError):
    """The volume, node or image does not exist."""

    status = grpc.StatusCode.NOT_FOUND


class Incompatible(LvolError):
    """Something of that name exists and is different."""

    status = grpc.StatusCode.ALREADY_EXISTS


class NotNow(LvolError):
    """The state of things forbids it."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class SizeOutOfRange(LvolError):
    """No size satisfies the request."""

    status = grpc.StatusCode.OUT_OF_RANGE


class PoolFull(LvolError):
    """The pool has no room."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class NoSuchPage(LvolError):
    """A list cannot be continued from there."""

    status = grpc.StatusCode.ABORTED


class CallAgain(LvolError):
    """Nothing is wrong; the same call succeeds a little later."""

    status = grpc.StatusCode.UNAVAILABLE


class TargetAway(LvolError):
    """The SPDK target does not answer."""

    status = grpc.StatusCode.UNAVAILABLE


class TargetRefused(LvolError):
    """The SPDK target answered with an error that has no better name."""
