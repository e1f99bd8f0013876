"""The trace of a provisioning, as the status tells it: one span for each step, and the root span over them all.

Written when the machine first answers, and with ids that follow from the machine's UID, so that no crash repeats them.
"""

from datetime import datetime
from typing import Any

from provider.api.steps import Step
from provider.runtime.tracing import Tracer, machine_trace

Json = dict[str, Any]


def record_milestones(tracer: Tracer, machine: Json, new_status: Json) -> None:
    """Record the spans if ``new_status`` is the first in which the machine answers."""
    if _answered(machine.get("status", {})) or not _answered(new_status):
        return
    uid = machine["metadata"]["uid"]
    trace = machine_trace(uid)
    created_ns = _nanoseconds(machine["metadata"]["creationTimestamp"])
    start_ns = created_ns
    for entry in new_status["timeline"]:
        end_ns = max(_nanoseconds(entry["at"]), start_ns)
        tracer.record(f"step {entry['step']}", trace=trace, start_ns=start_ns, end_ns=end_ns)
        start_ns = end_ns
    metadata = machine["metadata"]
    names = {"k8s.object": f"{metadata['namespace']}/{metadata['name']}", "server": new_status.get("serverName", "")}
    tracer.record_root(uid, trace, start_ns=created_ns, end_ns=start_ns, attributes=names)


def _answered(status: Json) -> bool:
    return any(entry["step"] == Step.ANSWERING for entry in status.get("timeline", ()))


def _nanoseconds(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp() * 1e6) * 1000
