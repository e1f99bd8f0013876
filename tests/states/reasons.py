"""Every reason: what it means, and in which parts of the source it is said."""

import re
from collections import defaultdict
from collections.abc import Iterator

from provider.api.reasons import Reason
from provider.function.status import FAILURES
from sandbox.paths import SOURCE
from tests.states.markdown import prose, table

_SAID = re.compile(r"\bReason\.([A-Z_]+)")
_PARTS = ("provider/planning", "provider/controllers", "provider/csi", "provider/function", "provider/composition")
_DPU = "dpu_handler/controllers"
_MANAGED, _MACHINE = "every managed resource", "the machine"
_SHARED = {
    "emulated": ("VirtualDisk", "VirtualNIC"),
    "attachment": ("VirtualDisk",),
    "tenancy": ("VirtualDisk", "VirtualNIC", "PowerState"),
    "verdict": (_MANAGED,),
    "managed": (_MANAGED,),
    "powerreading": ("PowerState", "ServerClaim"),
    "powerrequest": ("PowerState",),
    "bmcendpoints": ("PowerState", "ServerClaim"),
    "persistentvolumeclaim": ("Volume",),
    "planning": ("Volume",),
    "provisioner": ("Volume",),
}
"""Modules that speak for kinds that they are not called after."""
_KINDS = {
    kind.lower(): kind
    for kind in ("ServerClaim", "Volume", "VirtualDisk", "VirtualNIC", "PowerState", "EmulatedDisk", "EmulatedNIC")
}


def lines() -> Iterator[str]:
    yield from prose("## Reasons")
    yield from prose(
        "The words in `conditions[].reason`. The first child that fails or is waited for gives its own to the",
        "machine's condition Progressing, with its message. **Bold**: waiting alone does not cure it, and STATUS says",
        "Failed while the server is not on.",
    )
    said = _said_by()
    rows = (
        (f"**{each}**" if each in FAILURES else str(each), each.about, ", ".join(sorted(said[each.name])))
        for each in Reason
    )
    yield from table(("reason", "what it means", "said of"), rows)


def _said_by() -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for part in (*_PARTS, _DPU):
        for path in sorted((SOURCE / part).glob("*.py")):
            for name in _SAID.findall(path.read_text()):
                found[name].update(_speakers(part, path.stem))
    return {name: _shortest(speakers) for name, speakers in found.items()}


def _shortest(speakers: set[str]) -> set[str]:
    if _MANAGED in speakers:
        return {_MANAGED}
    # What the machine says of a child is the child's own.
    return speakers - {_MACHINE} or speakers


def _speakers(part: str, module: str) -> tuple[str, ...]:
    if part in ("provider/function", "provider/composition"):
        return (_MACHINE,)
    if module in _SHARED:
        return _SHARED[module]
    if part == _DPU and module == "device":
        return ("EmulatedDisk", "EmulatedNIC")
    return (_KINDS[module],) if module in _KINDS else ()
