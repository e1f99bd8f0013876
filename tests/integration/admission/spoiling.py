"""Changes to a good object, of any kind: another value of the field's type, one of no type, a field gone or doubled."""

import copy
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
Place = tuple[Json, Any, Any]
"""The schema of a value, what holds it (an object or a list), and its name or index there."""

_NAMES = ["a", "data-1", "debian-12.1", "x" * 48, "x" * 49, "x" * 63, "x" * 64, "x" * 253, "x" * 254]
_NO_NAMES = ["", "-", "a-", "Data", "../x", "a_b", "a b", "a\n", "é"]
_SIZES = [
    "1Gi",
    "1.5Gi",
    "1073741824",
    "3k",
    "0",
    "0.0Gi",
    "-1",
    "1e3",
    "1E",
    "100m",
    "20GB",
    "9300P",
    "8191Pi",
    ".5Gi",
]
_ADDRESSES = [
    "10.20.0.11/24",
    "10.20.0.0/24",
    "10.20.0.255/24",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "10.20.0.1/32",
    "10.20.0.1/33",
]
_NO_ADDRESSES = [
    "10.20.0.1/024",
    "010.20.0.1/24",
    "10.20.0/24",
    "10.20.0.1/",
    "fd00::1/64",
    "224.0.0.1/24",
    "127.0.0.1/8",
]
_IPS = ["10.20.0.1", "10.20.0.0", "10.20.0.255", "10.21.0.1", "10.255.255.255", "255.255.255.255", "fd00::1"]
_NO_IPS = ["10.20.0", "10.20.0.256", "010.20.0.1", "10.20.0.1 ", "::ffff:10.20.0.1", "fe80::1%eth0", "::ffff:a14:1"]
_MACS = ["02:00:00:00:00:0a", "02:00:00:00:00:AF", "01:00:5e:00:00:01", "00:00:00:00:00:00", "02-00-00-00-00-0a"]
_DEVICES = ["vm0", "eth0.100", "a" * 15, "a" * 16, "vm/0"]
_KEYS = [
    "ssh-ed25519 AAAA",
    "ssh-rsa AAAA me@example",
    "ssh-rsa AAA= a b",
    "ssh-dss AAAA",
    "ssh-rsa AAAAA",
    "ssh-rsa AAAA a\nb",
]
_DIGESTS = ["ab" * 32, "AB" * 32, "ab" * 16, "ab" * 8, "ab" * 31, "*", "On", "ssh"]
_TEXTS = st.sampled_from(
    [
        *_NAMES, *_NO_NAMES, *_SIZES, *_ADDRESSES, *_NO_ADDRESSES,
        *_IPS, *_NO_IPS, *_MACS, *_DEVICES, *_KEYS, *_DIGESTS,
    ]
)  # fmt: skip
_NUMBERS = st.sampled_from(
    [-1, 0, 1, 2, 8, 31, 32, 33, 575, 576, 3600, 3601, 4094, 4095, 9216, 9217, 65535, 65536, 2**40]
)
_OF_NO_TYPE = st.sampled_from(["x", "", 1, 1.5, True, [], {}, ["x"], [1], {"x": "y"}, {"name": "x"}, None])
GONE = object()


@st.composite
def spoilt(draw: st.DrawFn, schema: Json, spec: Json) -> Json:
    """A copy of ``spec`` with up to three changes."""
    changed = copy.deepcopy(spec)
    for _ in range(draw(st.integers(0, 3))):
        _change(draw, *draw(st.sampled_from(_places(schema, changed))))
    return changed


def _change(draw: st.DrawFn, schema: Json, holder: Any, name: Any) -> None:
    value = draw(_values(schema))
    value = value if value is GONE else copy.deepcopy(value)
    if isinstance(holder, dict):
        if value is GONE:
            holder.pop(name, None)
        else:
            holder[name] = value
    elif value is GONE:
        del holder[name]
    elif value is not None:
        # No null among items: what that means is not the same in every version of the API server.
        holder.insert(name, copy.deepcopy(holder[name]) if draw(st.booleans()) else value)


def _values(schema: Json) -> st.SearchStrategy[Any]:
    return st.one_of(_of_type(schema), _of_type(schema), _of_type(schema), st.just(GONE), _OF_NO_TYPE)


def _of_type(schema: Json) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if kind == "object" and "properties" in schema:
        wanted = {name: _of_type(schema["properties"][name]) for name in schema.get("required", ())}
        others = {name: _of_type(node) for name, node in schema["properties"].items() if name not in wanted}
        return st.fixed_dictionaries(wanted, optional=others)
    if kind == "object":
        return st.dictionaries(st.sampled_from("abc"), _of_type(schema["additionalProperties"]), max_size=2)
    if kind == "array":
        return st.lists(_of_type(schema["items"]), max_size=3)
    return {"string": _TEXTS, "integer": _NUMBERS, "boolean": st.booleans()}[str(kind)]


def _places(schema: Json, value: Any) -> list[Place]:
    """Every field that is there or could be, and every item."""
    found: list[Place] = []
    if isinstance(value, dict):
        inner = schema.get("additionalProperties")
        known = schema.get("properties") or {name: inner for name in value if inner is not None}
        for name, node in known.items():
            found.append((node, value, name))
            found += _places(node, value.get(name))
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found.append((schema["items"], value, index))
            found += _places(schema["items"], item)
    return found
