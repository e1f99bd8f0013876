"""Which requests for a session the BMC answers before ipmi_sim sees them (IPMI 2.0, section 13.17)."""

import pytest

from sandbox.bmc.gate import refusal

HEADER = bytes.fromhex("0600ff07061000000000000000002000")
ALGORITHMS = bytes.fromhex("01000008010000000200000801000000")
"""Integrity and confidentiality, as ipmitool proposes them."""


def request(authentication: str, *, header: bytes = HEADER) -> bytes:
    return header + bytes.fromhex("07040000a4a3a2a0") + bytes.fromhex(authentication) + ALGORITHMS


def test_a_session_without_authentication_is_refused_in_the_words_of_its_request() -> None:
    answer = refusal(request("0000000800000000"))
    assert answer is not None
    assert answer == bytes.fromhex("0600ff0706110000000000000000080007040000a4a3a2a0")


@pytest.mark.parametrize(
    "datagram",
    [
        request("0000000801000000"),
        request("0000000000000000"),
        request("0000000800000000", header=HEADER.replace(b"\x06\x10", b"\x06\x12")),
        bytes.fromhex("0600ff06000011be80000000"),
        b"",
    ],
    ids=["authenticated", "of the BMC's choice", "another payload", "presence ping", "nothing"],
)
def test_everything_else_passes(datagram: bytes) -> None:
    assert refusal(datagram) is None
