"""SPDK's framing: objects after one another, however they are cut into packets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.chassis.rpc import REQUEST_LIMIT_BYTES, MalformedStream, split_objects

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=4)


@given(st.lists(objects, max_size=4), st.integers(1, 7), st.sampled_from(["", " ", "\n", "\r\n\t"]))
def test_objects_arrive_whole_however_they_are_cut(sent: list[dict[str, object]], step: int, between: str) -> None:
    stream = between.join(json.dumps(item, ensure_ascii=False) for item in sent).encode()
    buffer = bytearray()
    received = []
    for start in range(0, len(stream), step):
        buffer += stream[start : start + step]
        received += list(split_objects(buffer))
    assert received == sent
    assert not buffer


@pytest.mark.parametrize("stream", [b"[1]", b"hello", b'{"a":}', b'{"a":1]', b'{"a":"\xff"}'])
def test_what_is_no_json_object_is_malformed(stream: bytes) -> None:
    with pytest.raises(MalformedStream):
        list(split_objects(bytearray(stream)))


def test_a_request_without_an_end_is_malformed() -> None:
    with pytest.raises(MalformedStream, match="longer"):
        list(split_objects(bytearray(b'{"a":"' + b"x" * REQUEST_LIMIT_BYTES)))
