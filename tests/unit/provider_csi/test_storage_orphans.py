"""What the storage has and no object names: listed, and deleted only while that is so and nothing is being made."""

from datetime import UTC, datetime

import grpc
import grpc.aio
import pytest

from provider.api.names import FINALIZER_CSI, INSTALLATION_NAMESPACE, ORPHAN_REPORT
from provider.api.resources import MACHINEIMAGE, ORPHANREPORT, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM, STORAGECLASS
from provider.csi import orphans
from provider.csi.errors import from_grpc
from provider.runtime.controller import Json, Key
from tests.unit.provider_csi.storage import DIGEST, RememberingDriver, image, pv, pvc
from tests.unit.runtime.model_cluster import ModelCluster, merged

KEY = Key(INSTALLATION_NAMESPACE, ORPHAN_REPORT)
SNAPSHOT = f"image-{DIGEST}"
VOLUME_ORPHAN, IMAGE_ORPHAN = "lvol/h", f"lvol/{SNAPSHOT}"
GIB = 1 << 30


class Storage(RememberingDriver):
    """One volume and one image's snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.exclusive = True
        self.there = {"h": GIB}
        self.images = {SNAPSHOT: GIB}

    async def is_exclusive(self) -> bool:
        return self.exclusive

    async def list_volumes(self) -> dict[str, int]:
        return dict(self.there)

    async def list_snapshots(self) -> dict[str, int]:
        return dict(self.images)

    async def delete_volume(self, handle: str) -> None:
        await super().delete_volume(handle)
        del self.there[handle]

    async def delete_snapshot(self, handle: str) -> None:
        await super().delete_snapshot(handle)
        del self.images[handle]


class Provider:
    """The controller of the storage's report; each look is later than the one before by as long as it takes."""

    def __init__(self) -> None:
        self.driver = Storage()
        self.cluster = ModelCluster(MACHINEIMAGE, PERSISTENTVOLUME, PERSISTENTVOLUMECLAIM, STORAGECLASS, ORPHANREPORT)
        self.cluster.have(STORAGECLASS, {"metadata": {"name": "lvol"}, "provisioner": "lvol"})
        self.cluster.have(ORPHANREPORT, {"metadata": {"name": KEY.name, "namespace": KEY.namespace}, "spec": {}})
        self.controller = orphans.build(self.cluster.runtime(), {"lvol": self.driver}, INSTALLATION_NAMESPACE)
        self.now_s = 0.0
        self.controller._clock = lambda: self.now_s

    async def looks(self, number: int = 2) -> dict[str, str]:
        """What is listed after so many looks, with its messages."""
        for _ in range(number):
            await self.controller.reconcile(KEY)
            self.now_s += orphans.RHYTHM.settles_s
        return {each["name"]: each["message"] for each in self.report["status"]["orphans"]}

    @property
    def report(self) -> Json:
        report = self.cluster.now(ORPHANREPORT, KEY.name, KEY.namespace)
        assert report is not None
        return report

    async def listed_and_asked_for(self) -> None:
        await self.looks()
        keys = ("where", "kind", "name", "since")
        wanted = [{key: each[key] for key in keys} for each in self.report["status"]["orphans"]]
        self.cluster.have(ORPHANREPORT, merged(self.report, {"spec": {"remove": wanted}}))


@pytest.fixture
def provider() -> Provider:
    return Provider()


async def test_what_no_object_names_is_listed_and_goes_when_asked_for(provider: Provider) -> None:
    assert await provider.looks() == {VOLUME_ORPHAN: "", IMAGE_ORPHAN: ""}
    assert provider.driver.calls == []
    await provider.listed_and_asked_for()
    assert await provider.looks(1) == {}
    assert provider.driver.calls == [("delete", "h"), ("delete snapshot", SNAPSHOT)]


async def test_what_a_persistent_volume_or_an_image_names_is_not_listed(provider: Provider) -> None:
    provider.cluster.have(PERSISTENTVOLUME, pv(phase="Released", policy="Retain"))
    provider.cluster.have(MACHINEIMAGE, image())
    assert await provider.looks() == {}


async def test_a_volume_of_another_driver_with_that_handle_names_nothing_here(provider: Provider) -> None:
    other = pv()
    other["spec"]["csi"]["driver"] = "other"
    provider.cluster.have(PERSISTENTVOLUME, other)
    assert VOLUME_ORPHAN in await provider.looks()


async def test_at_a_driver_that_others_use_too_nothing_is_missed(provider: Provider) -> None:
    provider.driver.exclusive = False
    assert await provider.looks() == {}


@pytest.mark.parametrize("unseen", [False, True], ids=["known to the cache", "known to the API server alone"])
async def test_what_is_named_by_now_is_not_deleted(provider: Provider, unseen: bool) -> None:
    await provider.listed_and_asked_for()
    provider.cluster.have(PERSISTENTVOLUME, pv(), unseen=unseen)
    provider.cluster.have(MACHINEIMAGE, image(), unseen=unseen)
    await provider.looks()
    assert provider.driver.calls == []


async def test_while_a_claim_may_have_a_volume_without_its_name_none_is_deleted(provider: Provider) -> None:
    await provider.listed_and_asked_for()
    claim = pvc(finalizers=[FINALIZER_CSI])
    provider.cluster.have(PERSISTENTVOLUMECLAIM, claim, unseen=True)
    messages = await provider.looks(1)
    assert messages[VOLUME_ORPHAN] == "volumes are being made, and it may be one of them: tenant-a/data"
    assert provider.driver.calls == [("delete snapshot", SNAPSHOT)]
    # It was another's: the claim has its own by now.
    made = pv(name=f"pvc-{claim['metadata']['uid']}")
    made["spec"]["csi"]["volumeHandle"] = "another"
    provider.cluster.have(PERSISTENTVOLUME, made)
    assert await provider.looks(1) == {}
    assert provider.driver.calls[1:] == [("delete", "h")]


async def test_a_driver_that_refuses_is_quoted(provider: Provider) -> None:
    await provider.listed_and_asked_for()
    none = grpc.aio.Metadata()
    held = grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, none, none, details="node dpu-1 holds it")
    provider.driver.refuse(from_grpc(held, attempt="DeleteVolume", subject="h", driver="lvol"))
    messages = await provider.looks(1)
    assert "node dpu-1 holds it" in messages[VOLUME_ORPHAN]


async def test_a_driver_that_is_away_changes_nothing(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    await provider.looks()
    before = provider.report
    none = grpc.aio.Metadata()

    async def away() -> bool:
        error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, none, none)
        raise from_grpc(error, attempt="GetPluginInfo", subject="lvol", driver="lvol")

    monkeypatch.setattr(provider.driver, "is_exclusive", away)
    await provider.controller.reconcile(KEY)
    assert provider.report == before


async def test_more_than_a_report_has_room_for_are_counted(provider: Provider) -> None:
    provider.driver.there = {f"h{number:04}": GIB for number in range(600)}
    assert len(await provider.looks()) == 500
    assert provider.report["status"]["more"] == 101
    assert datetime.fromisoformat(provider.report["status"]["orphans"][0]["since"]) <= datetime.now(UTC)
