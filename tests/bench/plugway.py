"""The way of a hot-plugged device, from the spans of its machine's trace: which part of it was the volume's.

On a staged volume, as the table says it, the whole way is counted but for two waits: of the disk's controller for a
volume that was still being made and attached (from the end of its first look at the new disk to the write that tells of
the attachment), and of the agent for the staging (its requests ``bdev_nvme_attach_controller``). Composing, every write
and every look that a volume which is there already would need as well are counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bench.spans import Span
from tests.bench.waiting import BenchFailed

_PLUG = "emulation emulation_plug"
_STAGE = "spdk bdev_nvme_attach_controller"
_COMPOSE = "reconcile BareMetalMachine"


@dataclass(frozen=True, slots=True)
class Plug:
    """A device that was asked for and seen in the guest, by Unix time in nanoseconds."""

    asked_ns: int
    seen_ns: int

    @property
    def ms(self) -> float:
        """From the one to the other."""
        return (self.seen_ns - self.asked_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Way:
    """Milliseconds until it was seen: from the API call, without the volume's part, from asking the chassis."""

    whole_ms: float
    staged_ms: float
    chassis_ms: float


def way(spans: Iterable[Span], plug: Plug) -> Way:
    """Raises ``BenchFailed`` when the trace has no such way."""
    within = sorted(
        (each for each in spans if plug.asked_ns <= each.start_ns < plug.seen_ns), key=lambda each: each.start_ns
    )
    asked = [each for each in within if each.name == _PLUG]
    if not asked:
        raise BenchFailed("Reading the way of a device", cause="the trace has no request that plugged it")
    storage_ns = _waited_ns(within, asked[0]) + sum(_staging_ns(within))
    chassis_ms = (plug.seen_ns - asked[0].start_ns) / 1e6
    return Way(plug.ms, plug.ms - storage_ns / 1e6, chassis_ms)


def _staging_ns(within: Iterable[Span]) -> list[int]:
    return [each.end_ns - each.start_ns for each in within if each.name == _STAGE]


def _waited_ns(within: Sequence[Span], plugged: Span) -> int:
    composing = {each.span_id for each in within if each.name == _COMPOSE}
    disk = next((_object(each) for each in within if _writes(each, "VirtualDisk") and _of(each, composing)), None)
    looked = [each.end_ns for each in within if each.name == "reconcile VirtualDisk" and _object(each) == disk]
    attached = [each.end_ns for each in within if _writes(each, "VolumeAttachment") and each.end_ns < plugged.start_ns]
    if disk is None or not looked or not attached:
        return 0
    return max(0, attached[-1] - looked[0])


def _writes(span: Span, kind: str) -> bool:
    return span.name.startswith((f"kube apply {kind}/", f"kube patch {kind}/"))


def _of(span: Span, parents: set[str]) -> bool:
    return span.parent_span_id in parents


def _object(span: Span) -> object:
    return span.attributes.get("k8s.object")
