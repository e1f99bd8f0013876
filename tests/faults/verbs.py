"""Verbs of a machine, asked for through the API server and bm-api by somebody who is not sure to get an answer.

Whoever asks and is not answered looks whether it was written down all the same, and asks again only where it was not.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from provider.api.subresources import MACHINE
from sandbox.errors import SandboxError
from tests.e2e.tenant import Machine
from tests.waiting import wait_for

Json = dict[str, Any]

_ANSWERED_WITHIN_S = 120.0
_MAY_STILL_COME_S = 10.0
"""For so long a replica that lives repeats what a busy API server did not take, though nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Verb:
    """What is posted to a machine. ``recorded``: whether it stands in the objects that it was to change."""

    name: str
    options: Json
    recorded: Callable[[], bool]


@contextmanager
def asking(machine: Machine, verbs: Sequence[Verb]) -> Iterator[None]:
    """Ask for one after the other beside what is done here. At the end each is recorded, or this fails."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="verbs") as beside:
        asked = beside.submit(_ask_for_all, machine, verbs)
        yield
        asked.result()


def _ask_for_all(machine: Machine, verbs: Sequence[Verb]) -> None:
    for verb in verbs:
        _ask(machine, verb)


def _ask(machine: Machine, verb: Verb) -> None:
    deadline = time.monotonic() + _ANSWERED_WITHIN_S
    while (refusal := _post(machine, verb)) is not None and not _comes_to_be(verb):
        assert time.monotonic() < deadline, f"{verb.name} was asked for again and again: {refusal}"


def _post(machine: Machine, verb: Verb) -> SandboxError | None:
    path = MACHINE.path(machine.tenant.namespace, machine.name, verb.name)
    try:
        machine.tenant.kubectl.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(verb.options))
    except SandboxError as error:
        return error
    return None


def _comes_to_be(verb: Verb) -> bool:
    with suppress(pytest.fail.Exception):
        return wait_for(lambda: _is_seen(verb), f"{verb.name} is recorded", _MAY_STILL_COME_S)
    return False


def _is_seen(verb: Verb) -> bool:
    with suppress(SandboxError):
        return verb.recorded()
    return False
