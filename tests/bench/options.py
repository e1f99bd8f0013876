"""What a run was asked for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """``samples``: boots of each sort, and rounds of the clients. ``directory`` is the cloud's, where it is to stay.

    ``fleets``: how many light servers, one cloud after the other. ``plugs``: devices of each sort that are hot-plugged,
    on each side. ``keys``: keys that are typed through each console.
    """

    samples: int
    idle_s: float
    directory: Path | None
    fleets: tuple[int, ...]
    plugs: int
    keys: int
