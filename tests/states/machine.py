"""STATUS of a machine: the rules as they stand in the function, and what one change makes of each state."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import product
from typing import Any

from provider.function.status import RULES, Facts, word
from tests.states.markdown import OUTSIDE, Edges, diagram, prose, table

_VALUES: dict[str, tuple[Any, ...]] = {
    "power": (None, "Off", "On", "Unknown"),
    "wanted": ("Always", "Halted", "Manual"),
}
_EVERYWHERE = ("Deleting", "Unknown")
"""Words that almost every state can become, which would hide all else."""


def lines() -> Iterator[str]:
    yield from prose("## A machine")
    yield from prose(
        "STATUS of a BareMetalMachine is the word of the first row whose facts hold. No other place decides it."
    )
    rows = ([str(n), f"**{rule.word}**", _facts(rule.when) or "none of these"] for n, rule in enumerate(RULES, 1))
    yield from table(("", "STATUS", "when"), rows)
    yield from prose("The facts are read from the machine and its children:")
    yield from table(("fact", "what it says"), ((f"`{each.name}`", each.metadata["about"]) for each in fields(Facts)))
    yield from prose(
        "What one change of a fact makes of each state, on the ways that a machine can take. Every state becomes",
        "Deleting by `kubectl delete`, and Unknown while a machine that has run cannot be seen: its agent is silent,",
        "or its BMC is.",
    )
    yield from diagram(_edges())


def _facts(when: Mapping[str, tuple[object, ...]]) -> str:
    return ", ".join(_fact(name, values) for name, values in when.items())


def _fact(name: str, values: tuple[object, ...]) -> str:
    if values in ((True,), (False,)):
        return f"`{name}`" if values[0] else f"not `{name}`"
    return f"`{name}` is " + " or ".join("not known" if value is None else str(value) for value in values)


def _edges() -> Edges:
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    found[OUTSIDE, "Pending"] = ["kubectl apply"]
    for known in filter(_possible, _all()):
        for field in fields(Facts):
            for value in _VALUES.get(field.name, (True, False)):
                after = replace(known, **{field.name: value})
                before_word, after_word = word(known), word(after)
                hidden = {before_word, after_word}.intersection(_EVERYWHERE)
                if before_word == after_word or hidden or not _possible(after) or _backwards(known, after):
                    continue
                cause = _fact(field.name, (value,)).replace("`", "")
                if cause not in found[before_word, after_word]:
                    found[before_word, after_word].append(cause)
    return found


def _all() -> Iterator[Facts]:
    names = [field.name for field in fields(Facts)]
    for values in product(*(_VALUES.get(name, (False, True)) for name in names)):
        yield Facts(**dict(zip(names, values, strict=True)))


def _possible(known: Facts) -> bool:
    """Whether a machine's children can be seen like this, but for what the page says in words."""
    return not (
        known.deleting
        or known.lost
        or known.power == "Unknown"
        or ((known.bound or known.unschedulable or known.failed) and not known.composed)
        or (known.bound and known.unschedulable)
        or (known.power is not None and not known.bound)
        or (known.provisioned and known.power is None)
        or (known.power == "On" and not known.provisioned)
        or (known.answers and known.power != "On")
    )


def _backwards(before: Facts, after: Facts) -> bool:
    """What does not go back: children are not unmade, a server is not lost, a first start stays one."""
    steps = ("composed", "bound", "provisioned")
    unmade = any(getattr(before, step) and not getattr(after, step) for step in steps)
    return unmade or (before.power is not None and after.power is None)
