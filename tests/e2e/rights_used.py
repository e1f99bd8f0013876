"""What an identity wrote, told from the API server's audit log, beside what it may write."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provider.api import rights

Permission = tuple[str, str, str]
"""Verb, group, resource (with its sub-resource)."""

_READS = frozenset({"get", "list", "watch"})
_CREATED, _FORBIDDEN = 201, 403
_TERMINATING = "because it is being terminated"
"""What the API server says of a namespace that goes (NamespaceLifecycle)."""


def may_write(rules: list[rights.Rule]) -> set[Permission]:
    """What the rules allow beside reading."""
    return {(verb, group, resource) for verb, group, resource, _ in rights.permissions(rules) if verb not in _READS}


def wrote(audit_log: Path, user: str) -> set[Permission]:
    """What the user asked for and got. An apply that made its object needed ``create`` too.

    What was refused once and allowed another time is no right that is missing: an API server that has just started, as
    it does in the tests of faults, answers before it knows its rules.
    """
    used: set[Permission] = set()
    refused: set[Permission] = set()
    for verb, group, resource, code, why in _writes(audit_log, user):
        if code == _FORBIDDEN:
            if _TERMINATING not in why:  # nobody may make anything there any more
                refused.add((verb, group, resource))
            continue
        used.add((verb, group, resource))
        if code == _CREATED:
            used.add(("create", group, resource))
    missing = sorted(refused - used)
    assert not missing, f"{user} wanted to, and may not: {missing}"
    return used


def _writes(audit_log: Path, user: str) -> Iterator[tuple[str, str, str, int, str]]:
    for line in audit_log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        if event["user"]["username"] == user:
            told = event["objectRef"]
            resource = "/".join(part for part in (told["resource"], told.get("subresource")) if part)
            answer = event["responseStatus"]
            yield event["verb"], told.get("apiGroup", ""), resource, answer["code"], answer.get("message", "")
