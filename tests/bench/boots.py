"""Boots of one server in turns: the image alone, an Ironic-like deployment of it, then a machine through metalplane.

So all meet the same machine in the same mood. Round trips, writes and footprint are taken from the same machines'
traces and audit log, and from the last one at rest. Whatever happens, the cloud is taken down.
"""

from sandbox.cloud import Cloud
from tests.bench import bareboot, ironicflow
from tests.bench.byhand import ServerByHand
from tests.bench.findings import Findings, Sample
from tests.bench.footprint import at_rest
from tests.bench.metalcloud import metal_cloud
from tests.bench.options import Options
from tests.bench.progress import say
from tests.bench.provisioning import Provisioning
from tests.bench.report import Report
from tests.bench.roundtrips import OPERATIONS, Trace
from tests.bench.writes import Audit

_FORGOTTEN_S = 20.0
"""What was done by hand stands in the agent's report of orphans, which it looks through every 10 s, for no longer."""


def measure(report: Report, options: Options) -> None:
    """Bring a cloud up, boot, and report."""
    findings = Findings(options.idle_s)
    with metal_cloud(options.directory) as (cloud, ledger):
        server = ServerByHand(cloud)
        server.up()
        measuring = _Measuring(cloud, server, Provisioning(cloud, ledger), findings)
        for number in range(1, options.samples + 1):
            measuring.sample(f"{number}/{options.samples}", last=number == options.samples)
    findings.add_to(report)


class _Measuring:
    """What one sample after the other is taken with."""

    def __init__(self, cloud: Cloud, server: ServerByHand, provisioning: Provisioning, findings: Findings) -> None:
        self._cloud = cloud
        self._server = server
        self._provisioning = provisioning
        self._audit = Audit(cloud.layout.log / "audit.jsonl")
        self._findings = findings

    def sample(self, label: str, *, last: bool) -> None:
        """One boot of each sort."""
        bare_s = bareboot.boot(self._server)
        say(f"{label}  bare boot: ping after {bare_s:.2f} s")
        deployed = ironicflow.deploy(self._server)
        say(f"{label}  Ironic-like: copied {deployed.copy_s:.2f} s long, ping after {deployed.ping_s:.2f} s")
        created = self._provisioning.create()
        settled_at = self._audit.wait_quiet()
        say(f"{label}  machine: power {created.power_on_s:.2f} s, ping {created.ping_s:.2f} s")
        if last:
            self._rest()
        trace = Trace(self._cloud.layout, created.uid)
        requests = {operation.name: trace.requests_of(operation) for operation in OPERATIONS}
        deleted = self._provisioning.delete()
        gone_at = self._audit.wait_quiet()
        say(f"{label}  machine: gone after {deleted.gone_s:.2f} s")
        writes = self._audit.ours(created.created_at, settled_at), self._audit.ours(deleted.asked_at, gone_at)
        self._findings.samples.append(Sample(bare_s, deployed, created, deleted, requests, *writes))

    def _rest(self) -> None:
        rest_s = self._findings.rest_s
        began_at = self._audit.wait_quiet(_FORGOTTEN_S)
        say(f"at rest for {rest_s:g} s")
        self._findings.footprints = at_rest(self._cloud, rest_s)
        self._findings.writes_at_rest = self._audit.ours(began_at, began_at + rest_s)
