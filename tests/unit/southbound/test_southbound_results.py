"""What a caller gets of a result: the Python value of its JSON, whatever that is."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpu_handler.southbound import Malformed, SpdkClient
from tests.unit.southbound.peer import Line, Request, listening

# Names that many results share, and names that are new each time.
NAMES = st.sampled_from(["name", "aliases", 'ä\n"\\', ""]) | st.text()
NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
RESULTS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20)


async def results_of(path: Path, texts: list[str]) -> list[Any]:
    """What a client makes of these texts, one the result of each of as many requests."""
    waiting = iter(texts)

    async def serve(line: Line, request: Request) -> None:
        line.write(f'{{"jsonrpc":"2.0","id":{request["id"]},"result":{next(waiting)}}}\n'.encode())

    client = SpdkClient(path)
    try:
        async with listening(path, serve):
            return await asyncio.gather(*(client.call("m") for _ in texts), return_exceptions=True)
    finally:
        client.close()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=st.lists(RESULTS, min_size=1, max_size=8), ascii_only=st.booleans())
async def test_a_result_reads_as_python_reads_its_text(tmp_path: Path, results: list[Any], ascii_only: bool) -> None:
    texts = [json.dumps(result, ensure_ascii=ascii_only) for result in results]
    read = await results_of(tmp_path / uuid4().hex, texts)
    assert repr(read) == repr(results)  # 1 is 1.0 to Python, and not to a caller


async def test_more_names_than_are_kept_read_all_the_same(tmp_path: Path) -> None:
    wanted = {f"name{number}": number for number in range(3000)}
    assert await results_of(tmp_path / "peer", [json.dumps(wanted)] * 2) == [wanted, wanted]


async def test_a_result_that_does_not_read_fails_its_own_request_alone(tmp_path: Path) -> None:
    before, unreadable, after = await results_of(tmp_path / "peer", ["1", r'{"name": "\ud800"}', "3"])
    assert (before, after) == (1, 3)
    assert isinstance(unreadable, Malformed)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "18446744073709551616", "1E2"])
async def test_what_json_leaves_open_reads_as_python_reads_it(tmp_path: Path, text: str) -> None:
    (read,) = await results_of(tmp_path / "peer", [text])
    assert read == json.loads(text)
