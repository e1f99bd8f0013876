"""What can go wrong with a request.

::

    SouthboundError
    ├── RpcRefused             the peer executed nothing and says why (code, message)
    ├── OvsdbOperationFailed   an operation of a transaction failed; the whole of it was rolled back
    ├── NothingToChange        a transaction was carried out, and there was no such row to change
    ├── ConnectionLost         no reply; ``executed`` tells "no" (never left) from "unknown"
    ├── DeadlineExceeded       no reply in time; ``executed`` likewise
    ├── NotInitialised         Open vSwitch's database is empty; nothing was sent, or nobody is left to apply it
    ├── Malformed              a reply that does not read
    └── RequestTooLarge        the peer would reset the connection (SPDK: 256 KiB)
"""

from typing import Literal

from dpu_handler import _native

Executed = Literal["no", "unknown"]


class SouthboundError(Exception):
    """Names the peer's method and what became of the request."""

    def __init__(self, method: str, cause: str) -> None:
        super().__init__(f"{method}: {cause}")
        self.method = method
        self.cause = cause


class RpcRefused(SouthboundError):
    """The peer refused. ``code`` is JSON-RPC's; SPDK uses negated errno values and -326xx, not always consistently."""

    def __init__(self, code: int, message: str, method: str) -> None:
        super().__init__(method, f"{message} (code {code})")
        self.code = code
        self.message = message


class OvsdbOperationFailed(SouthboundError):
    """Operation ``index`` of a transaction failed with ``error`` (RFC 7047, section 5.2); nothing was changed."""

    def __init__(self, index: int, error: str, details: str, method: str = "transact") -> None:
        super().__init__(method, f"operation {index}: {error}: {details}")
        self.index = index
        self.error = error
        self.details = details


class NothingToChange(SouthboundError):
    """Open vSwitch's database answers success, with a count of 0, where no row is as the operation says."""


class ConnectionLost(SouthboundError):
    """The connection broke before the reply, or could not be made."""

    def __init__(self, method: str, cause: str = "the connection was lost", *, executed: Executed) -> None:
        super().__init__(method, f"{cause}; executed: {executed}")
        self.executed = executed


class DeadlineExceeded(SouthboundError):
    """The reply did not come in time."""

    def __init__(self, method: str, timeout_s: float, *, executed: Executed) -> None:
        super().__init__(method, f"no reply within {timeout_s:g} s; executed: {executed}")
        self.executed = executed


class NotInitialised(SouthboundError):
    """Open vSwitch's database lacks the one row of its table Open_vSwitch, from which all else hangs."""

    def __init__(self, method: str) -> None:
        super().__init__(method, "the database has no Open_vSwitch row: start ovs-vswitchd, or run ovs-vsctl init")


class Malformed(SouthboundError):
    """The peer's reply is not what the protocol says."""


class RequestTooLarge(SouthboundError):
    """Not sent: the peer would reset the connection."""


def translate(error: _native.NativeError, method: str, timeout_s: float) -> SouthboundError:
    """The error of this package for one of the native module."""
    match error, error.args:
        case _native.RefusedError(), (int(code), str(name), str(message)):
            return RpcRefused(code, message or name, method)
        case _native.OperationFailedError(), (int(index), str(kind), str(details)):
            return OvsdbOperationFailed(index, kind, details, method)
        case _native.NotSentError(), (cause,):
            return ConnectionLost(method, str(cause), executed="no")
        case _native.OutcomeUnknownError(), (cause,):
            return ConnectionLost(method, str(cause), executed="unknown")
        case _native.DeadlinePassedError(), (bool(maybe),):
            return DeadlineExceeded(method, timeout_s, executed="unknown" if maybe else "no")
        case _native.TooLargeError(), (size, limit):
            return RequestTooLarge(method, f"the request has {size} bytes; the peer takes {limit}")
        case _:
            return Malformed(method, str(error))
