"""From answers and silence to a verdict. Pure: the caller brings the time.

One answer suffices for Reachable; it takes several unanswered probes to take it back, or the link going down.
"""

from dataclasses import dataclass
from typing import Literal

ASK_EVERY_S = 0.5
ASK_AGAIN_EVERY_S = 2.0
MISSES = 3
"""Unanswered probes in a row that mean Unreachable: noticed within 8 s of the last answer."""

State = Literal["Reachable", "Unreachable"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is believed of one machine, since when (``since_s``, any clock), and how many probes went unanswered."""

    state: State
    since_s: float
    misses: int = 0

    def answered(self, now_s: float) -> "Verdict":
        """It answered."""
        return Verdict("Reachable", self.since_s if self.state == "Reachable" else now_s)

    def silent(self, now_s: float) -> "Verdict":
        """A probe went unanswered."""
        misses = min(self.misses + 1, MISSES)
        if self.state == "Unreachable" or misses < MISSES:
            return Verdict(self.state, self.since_s, misses)
        return Verdict("Unreachable", now_s, misses)

    def link_down(self, now_s: float) -> "Verdict":
        """The server's end of the link went down: nothing can answer."""
        return self if self.state == "Unreachable" else Verdict("Unreachable", now_s, MISSES)

    @property
    def ask_in_s(self) -> float:
        """When to ask next: often while somebody waits for the first answer."""
        return ASK_AGAIN_EVERY_S if self.state == "Reachable" and not self.misses else ASK_EVERY_S
