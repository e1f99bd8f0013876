"""Kubernetes' JSONPath templates (https://kubernetes.io/docs/reference/kubectl/jsonpath/). Pure.

There is: text, ``{.a.b}``, ``{['a']}``, ``{.a[0]}``, ``{.a[-1]}``, ``{.a[0:2]}``, ``{.a[*]}``, ``{..a}``, ``{"text"}``,
``{range .a[*]}...{end}`` and filters ``{.a[?(@.type=="Ready")].status}``. A path that leads nowhere is empty, as in
kubectl. Values on one path are joined by spaces, objects and lists are compact JSON.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bmctl.errors import UsageError

Step = Callable[[Any], Iterator[Any]]

_BLOCK = re.compile(r"\{((?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^{}\"'])*)\}")
_FIELD = re.compile(
    r"\.\.(?P<deep>[\w-]+)|\.(?P<name>\*|(?:[^.\[\]\s\\]|\\.)+)|\[(?P<index>(?:\"[^\"]*\"|'[^']*'|[^]\"'])*)\]"
)
_FILTER = re.compile(r"\?\(\s*@(?P<path>[^=!<>]*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>.+?))?\s*\)")
_SLICE = re.compile(r"(?P<from>-?\d*):(?P<to>-?\d*)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}


def render(template: str, data: Any) -> str:
    """The template's text. Raises ``UsageError`` for a template that is none."""
    if "{" not in template:
        template = "{" + (template if template.startswith((".", "[", "$")) else f".{template}") + "}"
    text, rest = _sequence(_parts(template), data)
    if rest:
        raise _wrong(template, "an {end} has no {range}")
    return text


def _wrong(template: str, cause: str) -> UsageError:
    return UsageError(f"Reading the JSONPath {template}", cause, "Write one such as {.status.addresses[0]}.")


def _parts(template: str) -> list[tuple[bool, str]]:
    """Texts, and (True, ...) what stands in braces."""
    parts: list[tuple[bool, str]] = []
    position = 0
    for block in _BLOCK.finditer(template):
        parts += [(False, template[position : block.start()]), (True, block[1].strip())]
        position = block.end()
    parts.append((False, template[position:]))
    if any("{" in text or "}" in text for inside, text in parts if not inside):
        raise _wrong(template, "its braces do not match")
    return parts


def _sequence(parts: Sequence[tuple[bool, str]], data: Any) -> tuple[str, Sequence[tuple[bool, str]]]:
    """What the parts print up to an ``{end}``, and the parts after it."""
    out: list[str] = []
    while parts:
        (inside, text), parts = parts[0], parts[1:]
        if not inside:
            out.append(text)
        elif text == "end":
            return "".join(out), [(False, ""), *parts]
        elif text.startswith("range "):
            body = parts
            for item in _walk(text.removeprefix("range ").strip(), data):
                printed, parts = _sequence(body, item)
                out.append(printed)
            if parts is body:
                parts = _skipped(body)
            if not parts:
                raise _wrong(f"{{{text}}}", "it has no {end}")
        elif text[:1] in ('"', "'"):
            out.append(json.loads(f'"{text[1:-1]}"'))
        else:
            out.append(" ".join(_text(value) for value in _walk(text, data)))
    return "".join(out), parts


def _skipped(parts: Sequence[tuple[bool, str]]) -> Sequence[tuple[bool, str]]:
    """What follows the ``{end}`` of a range over nothing."""
    depth = 1
    for position, (inside, text) in enumerate(parts):
        depth += (inside and text.startswith("range ")) - (inside and text == "end")
        if depth == 0:
            return parts[position + 1 :]
    return []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _walk(path: str, data: Any) -> list[Any]:
    values = [data]
    for step in _steps(path):
        values = [found for value in values for found in step(value)]
    return values


def _steps(path: str) -> Iterator[Step]:
    rest = path.removeprefix("$").removeprefix("@")
    if rest and not rest.startswith((".", "[")):
        rest = f".{rest}"
    if rest == ".":
        return
    position = 0
    while position < len(rest):
        match = _FIELD.match(rest, position)
        if match is None:
            raise _wrong(path, f"{rest[position:]!r} is no step of a path")
        position = match.end()
        if match["deep"]:
            yield _deep(match["deep"])
        elif match["name"]:
            yield _all if match["name"] == "*" else _key(re.sub(r"\\(.)", r"\1", match["name"]))
        else:
            yield _subscript(path, match["index"].strip())


def _subscript(path: str, index: str) -> Step:
    if index == "*":
        return _all
    if index[:1] in ('"', "'"):
        return _key(index[1:-1])
    if re.fullmatch(r"-?\d+", index):
        return _slice(slice(int(index), int(index) + 1 or None))
    if bounds := _SLICE.fullmatch(index):
        return _slice(slice(*(int(bounds[end]) if bounds[end] else None for end in ("from", "to"))))
    if test := _FILTER.fullmatch(index):
        return _filter(test["path"].strip(), test["operator"], test["value"])
    raise _wrong(path, f"[{index}] is no index")


def _key(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield from value.values() if isinstance(value, dict) else value


def _slice(which: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[which]

    return step


def _deep(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        yield from _key(name)(value)
        for inner in _all(value):
            yield from step(inner)

    return step


def _filter(path: str, operator: str | None, literal: str | None) -> Step:
    wanted = None if literal is None else _literal(literal)

    def holds(item: Any) -> bool:
        found = _walk(path, item) if path else [item]
        if operator is None:
            return bool(found)
        try:
            return any(_COMPARE[operator](value, wanted) for value in found)
        except TypeError:
            return False

    def step(value: Any) -> Iterator[Any]:
        yield from (item for item in _all(value) if holds(item))

    return step


def _literal(text: str) -> Any:
    quoted = text[1:-1] if text[:1] == text[-1:] and text[:1] in ('"', "'") else None
    if quoted is not None:
        return quoted
    try:
        return json.loads(text)
    except ValueError as error:
        raise _wrong(text, "it is neither a number nor a quoted text") from error
