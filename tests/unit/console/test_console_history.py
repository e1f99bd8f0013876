"""The history against one that is simply all bytes."""

from hypothesis import given
from hypothesis import strategies as st

from provider.apiserver.console.history import LIMIT_BYTES, History

LIMIT = 40_000
PIECES = st.lists(st.integers(min_value=0, max_value=50_000), max_size=8)


@given(PIECES, st.integers(min_value=0, max_value=60_000))
def test_the_last_bytes_are_kept_whole_and_in_order(lengths: list[int], tail: int) -> None:
    history, everything = History(LIMIT), b""
    for number, length in enumerate(lengths):
        piece = bytes((number * 37 + index) % 251 for index in range(length))
        everything += piece
        history.append(piece)
    assert history.end == len(everything)
    assert history.start == max(0, len(everything) - LIMIT)
    assert history.all_from(history.tail(None)) == everything[-LIMIT:]
    assert history.all_from(history.tail(tail)) == everything[history.start :][-tail or len(everything) :]


@given(PIECES, st.data())
def test_it_is_read_from_any_place_in_any_pieces(lengths: list[int], data: st.DataObject) -> None:
    history, everything = History(LIMIT), b""
    for length in lengths:
        piece = bytes(index % 253 for index in range(length))
        everything += piece
        history.append(piece)
    position = data.draw(st.integers(min_value=history.start, max_value=history.end))
    most = data.draw(st.integers(min_value=1, max_value=70_000))
    read = history.read(position, most)
    assert len(read) <= most
    assert everything[position:].startswith(read)
    assert bool(read) == (position < history.end)


def test_what_is_not_kept_takes_no_room() -> None:
    history = History()
    assert sum(map(len, history._blocks.values())) == 0
    for _ in range(100):
        history.append(bytes(100_000))
    assert LIMIT_BYTES <= sum(map(len, history._blocks.values())) <= LIMIT_BYTES + 16 * 1024
