"""What the benchmark counts by itself: rounds of requests, and whose writes count."""

import json
from pathlib import Path
from typing import Any

import pytest

from provider.api.names import dpu_user
from sandbox import inventory
from tests.bench.roundtrips import Request, rounds
from tests.bench.writes import Audit, by_kind

AT = "2026-11-24T02:43:08.630000Z"
AT_S = 1795488188.63


def request(method: str, start_ns: int, end_ns: int) -> Request:
    return Request("spdk", method, 1, start_ns, end_ns)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([], []),
        ([request("a", 1, 9)], ["a"]),
        ([request("b", 9, 12), request("a", 1, 9)], ["a", "b"]),
        ([request("a", 1, 9), request("b", 2, 5)], ["ab"]),
        ([request("a", 1, 4), request("b", 2, 9), request("c", 5, 7)], ["ab", "c"]),
        ([request("a", 1, 9), request("b", 2, 4), request("c", 3, 6), request("d", 5, 8)], ["abc", "d"]),
    ],
    ids=["none", "one", "one after the other", "side by side", "after the first answer", "beside a slow one"],
)
def test_a_round_ends_when_a_request_leaves_after_an_answer(requests: list[Request], expected: list[str]) -> None:
    assert ["".join(each.method for each in found) for found in rounds(requests)] == expected


def event(user: str, resource: str, verb: str = "patch", subresource: str | None = None, code: int = 200) -> str:
    target: dict[str, Any] = {"resource": resource}
    if subresource:
        target["subresource"] = subresource
    status = {"metadata": {}, "code": code}
    body = {"requestReceivedTimestamp": AT, "verb": verb, "user": {"username": user}, "objectRef": target}
    return json.dumps(body | {"responseStatus": status}) + "\n"


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """A log with four writes of ours, and others that do not count; the last one is still being written."""
    provider, agent = inventory.PROVIDER_USER, dpu_user("dpu0")
    lines = [
        event(provider, "volumes"),
        event(provider, "volumes", subresource="status"),
        event(agent, "emulateddisks", subresource="status"),
        event(provider, "persistentvolumeclaims", code=409),
        event(provider, "leases", verb="update"),
        event(provider, "events", verb="create"),
        event("admin", "baremetalmachines"),
        event("system:serviceaccount:kube-system:persistent-volume-binder", "persistentvolumes"),
        event(provider, "volumes").rstrip()[:40],
    ]
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(lines))
    return Audit(path)


def test_only_our_writes_count_without_leases_and_events(audit: Audit) -> None:
    assert by_kind(audit.ours(AT_S - 1, AT_S + 1)) == {
        ("volumes", "patch"): 1,
        ("volumes/status", "patch"): 1,
        ("emulateddisks/status", "patch"): 1,
        ("persistentvolumeclaims", "patch"): 1,
    }


def test_a_refused_write_is_told_apart(audit: Audit) -> None:
    refused = [write.resource for write in audit.ours(AT_S - 1, AT_S + 1) if write.refused]
    assert refused == ["persistentvolumeclaims"]


def test_a_write_belongs_to_the_time_in_which_it_came(audit: Audit) -> None:
    assert not audit.ours(AT_S + 0.001, AT_S + 1)
    assert not audit.ours(AT_S - 1, AT_S)
    assert len(audit.ours(AT_S, AT_S + 0.001)) == 4
