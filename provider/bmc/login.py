"""How a session with a BMC is opened: the console's half of Open Session and RAKP messages 1 to 4. Pure.

Source: IPMI 2.0 revision 1.1, sections 13.17 to 13.24, 13.31, table 13-15.
"""

import hmac
import struct
from dataclasses import dataclass, field

from provider.bmc.rmcp import CipherSuite, Keys, MalformedPacket, Status

ADMINISTRATOR = 0x04
_BY_NAME_ONLY = 0x10
"""The user is found by the name alone, whatever levels it has (table 13-11)."""

_NO_SUCH_SUITE = frozenset(
    {
        Status.INVALID_AUTHENTICATION_ALGORITHM,
        Status.INVALID_INTEGRITY_ALGORITHM,
        Status.INVALID_CONFIDENTIALITY_ALGORITHM,
        Status.NO_CIPHER_SUITE_MATCH,
    }
)
_WHO_IS_REFUSED = frozenset({Status.UNAUTHORIZED_ROLE, Status.UNAUTHORIZED_NAME, Status.INVALID_INTEGRITY_CHECK_VALUE})
_NAMES = {status.value: status.name.lower().replace("_", " ") for status in Status}
_USER_NAME_BYTES, _PASSWORD_BYTES = 16, 20


class SuiteRefused(Exception):
    """The BMC does not have this cipher suite."""


class LoginRefused(Exception):
    """The BMC refused the login. ``credentials``: because of who we are."""

    def __init__(self, cause: str, *, credentials: bool) -> None:
        super().__init__(cause)
        self.credentials = credentials


@dataclass
class Login:
    """One attempt with one cipher suite. ``random``: 16 random bytes; ``console``: our number of the session."""

    suite: CipherSuite
    username: str
    password: str = field(repr=False)
    console: int = 0
    random: bytes = b""
    bmc: int = 0
    _bmc_random: bytes = b""
    _guid: bytes = b""

    def open_session(self) -> bytes:
        """The Open Session Request."""
        kinds = b"".join(struct.pack("<BxxBB3x", kind, 8, each) for kind, each in enumerate(self.suite.algorithms))
        return struct.pack("<BB2xI", 0, ADMINISTRATOR, self.console) + kinds

    def challenge(self, response: bytes) -> bytes:
        """The Open Session Response -> RAKP message 1. Raises SuiteRefused, LoginRefused, MalformedPacket."""
        self._check(response, 36)
        self.bmc = int.from_bytes(response[8:12], "little")
        chosen = tuple(response[12 + 8 * kind + 4] & 0x3F for kind in range(3))
        if chosen != self.suite.algorithms:
            raise SuiteRefused(f"the BMC chose algorithms {chosen}")
        return struct.pack("<BxxxI", 0, self.bmc) + self.random + struct.pack("<B2x", self._user[0]) + self._user[1:]

    def proof(self, response: bytes) -> bytes:
        """RAKP message 2 -> 3, once the BMC has proved that it knows the password. Raises LoginRefused."""
        self._check(response, 40)
        self._bmc_random, self._guid = response[8:24], response[24:40]
        ids = struct.pack("<II", self.console, self.bmc)
        expected = self._mac(ids, self.random, self._bmc_random, self._guid, self._user)
        if not hmac.compare_digest(expected, response[40:]):
            raise LoginRefused("incorrect password", credentials=True)
        return struct.pack("<BB2xI", 0, Status.OK, self.bmc) + self._mac(
            self._bmc_random, struct.pack("<I", self.console), self._user
        )

    def keys(self, response: bytes) -> Keys:
        """RAKP message 4 -> the session's keys. Raises LoginRefused."""
        self._check(response, 8)
        keys = Keys.derive(self.suite, self.password.encode(), self.random + self._bmc_random, self._user)
        expected = self.suite.mac(keys.session_integrity, self.random, struct.pack("<I", self.bmc), self._guid)
        if not hmac.compare_digest(expected[: self.suite.check_bytes], response[8:]):
            raise LoginRefused("the BMC's last message proves no password", credentials=True)
        return keys

    @property
    def _user(self) -> bytes:
        name = self.username.encode()
        return bytes([_BY_NAME_ONLY | ADMINISTRATOR, len(name)]) + name

    def _mac(self, *parts: bytes) -> bytes:
        return self.suite.mac(self.password.encode(), *parts)

    def _check(self, response: bytes, least_bytes: int) -> None:
        if len(response) >= 2 and response[1] != Status.OK:
            raise _refused(response[1])
        if len(response) < least_bytes or int.from_bytes(response[4:8], "little") != self.console:
            raise MalformedPacket("no answer to this login")


def check_credentials(username: str, password: str) -> None:
    """Raise LoginRefused for what IPMI cannot carry (tables 22-28 and 22-30)."""
    for what, text, limit in (("user name", username, _USER_NAME_BYTES), ("password", password, _PASSWORD_BYTES)):
        if len(text.encode()) > limit:
            raise LoginRefused(f"the {what} has more than the {limit} bytes of IPMI", credentials=True)


def _refused(status: int) -> Exception:
    if status in _NO_SUCH_SUITE:
        return SuiteRefused(f"status {status:#04x}")
    name = _NAMES.get(status, "refused")
    return LoginRefused(f"{name} (RMCP+ status {status:#04x})", credentials=status in _WHO_IS_REFUSED)
