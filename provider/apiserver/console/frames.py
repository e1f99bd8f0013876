"""What stands in a console's text frames (ADR 3, point 8). Pure.

Server to client: opened, notice, lost, role, closing. Client to server: break. Bytes of the serial line travel in
binary frames and are not looked at.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

PROTOCOL = "v1.console.metalplane.io"
_TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."  # noqa: S105  (the prefix under which browsers send theirs)
_CLOSE_REASON_BYTES = 123
"""A control frame has 125 bytes, two of them for the code (RFC 6455, section 5.5)."""


class Role(StrEnum):
    """Of a client on a console."""

    WRITER = "writer"
    WATCHER = "watcher"


class Close:
    """Codes that a console is closed with (RFC 6455, section 7.4.1)."""

    ENDED = 1000
    GOING_AWAY = 1001
    NOT_ALLOWED = 1008
    TRY_AGAIN = 1013


@dataclass(frozen=True, slots=True)
class Data:
    """What the server printed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The first frame. ``writer``: who writes, if anybody does."""

    role: Role
    writer: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """News about the console."""

    message: str


@dataclass(frozen=True, slots=True)
class Lost:
    """So many bytes are missing here: the client was too slow, or nobody read the BMC."""

    lost_bytes: int


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """The client has another role from now on."""

    role: Role
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The console is closed, and why. ``told``: the client has had the text frame that says so."""

    code: int
    reason: str
    told: bool = False


Frame = Data | Opened | Notice | Lost | RoleChanged | Ended


def text(frame: Opened | Notice | Lost | RoleChanged | Ended) -> str:
    """A text frame."""
    match frame:
        case Opened(role, writer):
            return json.dumps({"type": "opened", "role": role, **({"writer": writer} if writer else {})})
        case Notice(message):
            return json.dumps({"type": "notice", "message": message})
        case Lost(lost_bytes):
            return json.dumps({"type": "lost", "bytes": lost_bytes})
        case RoleChanged(role, message):
            return json.dumps({"type": "role", "role": role, "message": message})
        case Ended(reason=reason):
            return json.dumps({"type": "closing", "reason": reason})


def asks_for_break(frame: str) -> bool:
    """Whether a client's text frame asks for a serial break."""
    try:
        said = json.loads(frame)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("type") == "break"


def close_reason(reason: str) -> bytes:
    """As much of a reason as a close frame has room for."""
    return reason.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore").encode()


def subprotocol(offered: str) -> tuple[str, ...]:
    """What to choose from a Sec-WebSocket-Protocol header: ours, else the client's first; a token is no protocol."""
    names = [name.strip() for name in offered.split(",")]
    wanted = [name for name in names if name and not name.startswith(_TOKEN_PROTOCOL)]
    return (PROTOCOL,) if PROTOCOL in wanted else tuple(wanted[:1])
