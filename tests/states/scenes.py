"""A managed resource's life in scenes: what is observed in each, and what its planner makes of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from provider.planning.action import Action, ApplyObject, CreateObject, DeleteObject, PatchObject
from provider.planning.verdict import Plan
from tests.states.markdown import OUTSIDE, diagram, prose, table

World = TypeVar("World")


@dataclass(frozen=True)
class Scene(Generic[World]):
    """What is observed, and in how many words; ``after``: the scenes that it comes from, and by what."""

    name: str
    seen: str
    world: World
    after: tuple[tuple[str, str], ...] = ()


def section(
    title: str,
    intro: str,
    scenes: Iterable[Scene[World]],
    plan: Callable[[World], Plan[Any]],
    words: Callable[[Action], str],
) -> Iterator[str]:
    """The table of all scenes with what ``plan`` says of each, and the ways between them."""
    told = [(scene, plan(scene.world)) for scene in scenes]
    yield from prose(f"## {title}")
    yield from prose(intro)
    rows = ([scene.name, scene.seen, *_decided(decided, words)] for scene, decided in told)
    yield from table(("", "observed", "Ready", "done"), rows)
    edges: dict[tuple[str, str], list[str]] = {}
    for scene, decided in told:
        for before, cause in scene.after:
            edges.setdefault((before, scene.name), []).append(cause)
        if decided.gone:
            edges[scene.name, OUTSIDE] = ["its finalizer is taken off"]
    yield from diagram(edges)


def object_words(action: Action) -> str:
    """What an action does to which kind. Raises ``ValueError`` for one that is about no object."""
    match action:
        case CreateObject(resource=resource):
            return f"{resource.kind} is made"
        case ApplyObject(resource=resource):
            return f"{resource.kind} is applied"
        case DeleteObject(resource=resource):
            return f"{resource.kind} is deleted"
        case PatchObject(resource=resource, body={"metadata": {"finalizers": _}}):
            return f"a finalizer of the {resource.kind} is {'put on' if action.policy == 'Create' else 'taken off'}"
        case PatchObject(resource=resource):
            return f"{resource.kind} is changed"
        case _:
            raise ValueError(f"the page has no words for {action}")


def _decided(decided: Plan[Any], words: Callable[[Action], str]) -> tuple[str, str]:
    done = [words(action) for action in decided.actions] or (["gone"] if decided.gone else [])
    return f"{decided.ready.status}, {decided.ready.reason}", "; ".join(done)
