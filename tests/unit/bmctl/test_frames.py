"""Websocket frames and escapes, apart from any socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmctl.console.escape import Command, Keys
from bmctl.console.frames import LONGEST_MESSAGE_BYTES, Decoder, Message, Opcode, ProtocolError, encode


def unmasked(frame: bytes) -> bytes:
    """A client's frame with mask 0 as a server would send it."""
    length = frame[1] & 0x7F
    mask_at = 2 + {126: 2, 127: 8}.get(length, 0)
    return frame[:1] + bytes([length]) + frame[2:mask_at] + frame[mask_at + 4 :]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_every_size_of_length_is_read_as_it_is_written(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    frame = unmasked(encode(Opcode.BINARY, payload[:size], b"\0\0\0\0"))
    assert Decoder().feed(frame) == [Message(Opcode.BINARY, payload[:size])]


def test_a_client_masks_as_the_standard_shows() -> None:
    # RFC 6455, section 5.7: a single-frame masked text message, "Hello".
    assert encode(Opcode.TEXT, b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 50))
def test_messages_are_the_same_in_pieces_of_any_size(payloads: list[bytes], piece: int) -> None:
    stream = b"".join(unmasked(encode(Opcode.BINARY, payload, b"\0\0\0\0")) for payload in payloads)
    decoder = Decoder()
    found = [each for at in range(0, len(stream), piece) for each in decoder.feed(stream[at : at + piece])]
    assert [message.payload for message in found] == payloads


def test_a_message_in_fragments_is_one_and_a_ping_may_stand_between_them() -> None:
    # RFC 6455, section 5.7: a fragmented unmasked text message.
    stream = bytes.fromhex("010348656c") + bytes.fromhex("8900") + bytes.fromhex("80026c6f")
    assert Decoder().feed(stream) == [Message(Opcode.PING, b""), Message(Opcode.TEXT, b"Hello")]


@pytest.mark.parametrize(
    "stream",
    ["c100", "8180" + "00" * 4, "8300", "0900", "8000", "01000100", "827f" + f"{LONGEST_MESSAGE_BYTES + 1:016x}"],
    ids=["reserved bit", "masked", "unknown", "ping in pieces", "no beginning", "two beginnings", "too long"],
)
def test_what_is_no_frame_is_refused(stream: str) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(bytes.fromhex(stream))


def test_a_close_frame_says_why() -> None:
    (message,) = Decoder().feed(b"\x88\x05\x03\xe8bye")
    assert message.close_code() == (1000, "bye")
    assert Message(Opcode.CLOSE, b"").close_code() == (1005, "")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (b"ls\r", [b"ls\r"]),
        (b"a\x1d.b", [b"a", Command.LEAVE, b"b"]),
        (b"\x1d\x1d", [b"\x1d"]),
        (b"\x1db", [Command.BREAK]),
        (b"\x1d?", [Command.HELP]),
        (b"\x1dx", [b"\x1dx"]),
        (b"\x1d", []),
    ],
)
def test_keys_after_the_escape_are_for_us(typed: bytes, meant: list[bytes | Command]) -> None:
    assert Keys().typed(typed) == meant


@given(st.binary(max_size=60), st.integers(0, 60))
def test_keys_mean_the_same_however_they_arrive(typed: bytes, cut: int) -> None:
    whole, pieces = Keys(), Keys()

    def flat(parts: list[bytes | Command]) -> list[int | Command]:
        return [key for part in parts for key in (part if isinstance(part, bytes) else [part])]

    assert flat(whole.typed(typed)) == flat([*pieces.typed(typed[:cut]), *pieces.typed(typed[cut:])])
