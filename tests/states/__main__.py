"""``python -m tests.states [--check]``: write docs/states.md, or say that it is out of date.

Nothing on the page is written down twice: tables are read from the tables of the code, and where the code decides in a
function, that function is asked about every case there is (plans are pure, so asking costs nothing).

    machine     STATUS, from the rules of provider.function.status
    power       PowerState, by asking its planner; powerrequest: what is asked of it once
    claim       ServerClaim, by asking its planner
    volume      Volume, by asking its planner
    disk, nic   VirtualDisk and VirtualNIC, by asking theirs
    devices     the agent's steps and their undoing, from dpu_handler.planning
    reasons     every reason, and who says it, from the source
"""

import sys
from collections.abc import Iterator

from provider.api.generation.page import refresh_page
from sandbox.paths import SOURCE
from tests.states import claim, devices, disk, machine, nic, power, powerrequest, reasons, volume

PAGE = SOURCE / "docs" / "states.md"
_TOP = """\
# States

Generated from the code by `python -m tests.states`; do not edit. What each word in STATUS, and each reason in a
condition means, and what comes next.
"""


def main() -> int:
    """Run the command; returns its exit code."""
    return refresh_page("tests.states", PAGE, "\n".join(_lines()))


def _lines() -> Iterator[str]:
    yield _TOP
    for part in (machine, claim, volume, disk, nic, power, powerrequest, devices, reasons):
        yield from part.lines()
        yield ""


if __name__ == "__main__":
    sys.exit(main())
