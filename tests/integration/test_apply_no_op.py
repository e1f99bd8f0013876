"""Whether an apply would change anything, as the real API server keeps books about who owns what."""

from datetime import UTC, datetime

from provider.api.names import ORPHAN_REPORT
from provider.api.orphanreport import Orphan, OrphanReportStatus
from provider.api.resources import ORPHANREPORT
from provider.runtime.apply import holds
from provider.runtime.client import KubeClient
from provider.runtime.controller import Json
from provider.runtime.kubeconfig import load
from sandbox.apiserver import ApiServer

MANAGER = "report-test"
NOTHING = OrphanReportStatus(orphans=[], more=0).to_json()
SOMETHING = OrphanReportStatus(
    orphans=[
        Orphan(
            where="emulation",
            kind="Function",
            name="slot-1",
            since=datetime(2026, 1, 1, tzinfo=UTC),
            about="",
            message="",
        )
    ],
    more=0,
).to_json()


async def test_what_was_applied_is_not_sent_again_though_its_list_is_empty(
    apiserver: ApiServer, namespace: str
) -> None:
    place = {"name": ORPHAN_REPORT, "namespace": namespace}
    async with KubeClient(load(apiserver.layout.kubeconfig)) as client:
        seen = await client.apply(ORPHANREPORT, {"metadata": place, "spec": {}}, field_manager=MANAGER)
        for status, others in ((NOTHING, SOMETHING), (SOMETHING, NOTHING), (NOTHING, SOMETHING)):
            desired: Json = {"metadata": place, "status": status}
            assert not holds(seen, desired, field_manager=MANAGER, subresource="status")
            # A list that loses its last item is taken away whole, and is there and empty after another apply.
            for _ in range(2):
                seen = await client.apply(ORPHANREPORT, desired, field_manager=MANAGER, subresource="status")
            assert holds(seen, desired, field_manager=MANAGER, subresource="status")
            assert not holds(seen, {**desired, "status": others}, field_manager=MANAGER, subresource="status")
