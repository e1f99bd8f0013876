"""A restart of kube-controller-manager detaches nothing of ours.

Where there are no Pods, its attach-detach controller takes every attachment for a leftover. It deletes the one that it
would have made itself, under the name that it would have given it: that is the positive control. Ours has another name,
so the delete misses it.
"""

import hashlib
import http.client
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from provider.api.names import volume_attachment
from provider.api.resources import CSIDRIVER, CSINODE, NODE, PERSISTENTVOLUME, VOLUMEATTACHMENT, ResourceType
from sandbox.apiserver import ApiServer
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]

DRIVER, HOST = "attached.csi.example.org", "dpu-of-this-test"


def core(resource: ResourceType, name: str, **content: Any) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, **content}


def persistent_volume(name: str) -> Json:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Block",
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "none",
        "csi": {"driver": DRIVER, "volumeHandle": f"handle-of-{name}"},
    }
    return core(PERSISTENTVOLUME, name, spec=spec)


def attachment(name: str, volume: str) -> Json:
    spec = {"attacher": DRIVER, "nodeName": HOST, "source": {"persistentVolumeName": volume}}
    return core(VOLUMEATTACHMENT, name, spec=spec)


def name_that_it_would_give(volume: str) -> str:
    """Kubernetes, pkg/volume/csi: ``csi-`` and the sha256 of volume handle, driver and node."""
    return "csi-" + hashlib.sha256(f"handle-of-{volume}{DRIVER}{HOST}".encode()).hexdigest()


@pytest.fixture(scope="module")
def attached(rest: Rest) -> Iterator[tuple[Json, Json]]:
    """An attachment of ours and the positive control, each of a volume of its own, both attached."""
    node = rest.create(NODE, core(NODE, HOST, spec={"unschedulable": True}))
    owner = {"apiVersion": "v1", "kind": "Node", "name": HOST, "uid": node["metadata"]["uid"]}
    entry = core(CSINODE, HOST, spec={"drivers": [{"name": DRIVER, "nodeID": "id"}]})
    entry["metadata"]["ownerReferences"] = [owner]
    rest.create(CSINODE, entry)
    rest.create(CSIDRIVER, core(CSIDRIVER, DRIVER, spec={"attachRequired": True}))
    volume = rest.create(PERSISTENTVOLUME, persistent_volume("of-ours"))
    rest.create(PERSISTENTVOLUME, persistent_volume("of-the-control"))
    names = (volume_attachment(volume["metadata"]["uid"]), name_that_it_would_give("of-the-control"))
    created = [
        rest.create(VOLUMEATTACHMENT, attachment(name, volume))
        for name, volume in zip(names, ("of-ours", "of-the-control"), strict=True)
    ]
    for each in created:
        rest.patch(VOLUMEATTACHMENT, each, {"status": {"attached": True}}, subresource="status")
    yield created[0], created[1]
    for name in names:
        rest.ask("DELETE", VOLUMEATTACHMENT.path(None, name))
    for name in ("of-ours", "of-the-control"):
        rest.ask("DELETE", PERSISTENTVOLUME.path(None, name))
    rest.ask("DELETE", NODE.path(None, HOST))


def test_a_restart_detaches_what_it_named_itself_and_nothing_of_ours(
    apiserver: ApiServer, rest: Rest, attached: tuple[Json, Json]
) -> None:
    ours, control = attached
    restart(apiserver)

    def look() -> int:
        # A detach waits until the Node says that it has the volume mounted no more, and each heartbeat of it says so.
        heartbeat(rest)
        return rest.ask("GET", VOLUMEATTACHMENT.path(None, control["metadata"]["name"])).code

    eventually(look, lambda code: code == http.client.NOT_FOUND)
    eventually(lambda: detached(apiserver), lambda volumes: {"of-ours", "of-the-control"} <= volumes)
    left = rest.get(VOLUMEATTACHMENT, ours["metadata"]["name"])
    assert left["metadata"]["uid"] == ours["metadata"]["uid"]
    assert "deletionTimestamp" not in left["metadata"]
    assert left["status"]["attached"] is True


def heartbeat(rest: Rest) -> None:
    """What a Node's kubelet would write again and again."""
    now = datetime.now(UTC).isoformat()
    ready = {"type": "Ready", "status": "True", "reason": "Test", "lastHeartbeatTime": now}
    rest.patch(NODE, core(NODE, HOST), {"status": {"conditions": [ready]}}, subresource="status")


def detached(apiserver: ApiServer) -> set[str]:
    """Volumes that kube-controller-manager believes to have detached."""
    log = (apiserver.layout.log / "kube-controller-manager.log").read_text()
    lines = [line for line in log.splitlines() if "DetachVolume.Detach succeeded" in line]
    return {volume for volume in ("of-ours", "of-the-control") if any(f"handle-of-{volume}" in line for line in lines)}


def restart(apiserver: ApiServer) -> None:
    """Kill kube-controller-manager and return when another one is ready."""
    before = report(apiserver)
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: report(apiserver), lambda now: now["restarts"] > before["restarts"] and now["state"] == "ready")


def report(apiserver: ApiServer) -> Json:
    """What the supervisor says of kube-controller-manager."""
    return next(each for each in apiserver.supervisor.status() if each["name"] == "kube-controller-manager")
