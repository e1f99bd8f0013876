"""What is in a support bundle, and what never is."""

import tarfile
from pathlib import Path
from typing import Any

from bmctl.redaction import clean
from tests.unit.bmctl.api import MACHINES, Api, child, machine, refusal, run

Json = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
EVENTS = "/apis/events.k8s.io/v1/namespaces/tenant-a/events"


def cloud(api: Api) -> None:
    made = machine(cloudInit={"sshAuthorizedKeys": ["ssh-ed25519 AAAA me"], "userDataSecretRef": {"name": "ud"}})
    made["metadata"]["annotations"] = {LAST_APPLIED: "the whole spec, ssh-ed25519 AAAA me", "team": "blue"}
    made["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    api.shows(MACHINES, made)
    api.shows("/apis/metalplane.io/v1alpha1/servers", {"metadata": {"name": "server0"}, "spec": bmc()})
    failed = child("PowerState", "bm-01-power", ready="False")
    failed["status"]["conditions"][0]["message"] = "BMC 10.99.7.7 does not answer"
    api.shows("/apis/metalplane.io/v1alpha1/namespaces/tenant-a/powerstates", failed)
    api.answers["GET", EVENTS] = refusal(403, "Forbidden", 'User "u" cannot list events; BMC 10.99.7.7')
    mine, theirs = ({"metadata": {"name": f"disk-{ns}"}, "spec": emulated(ns)} for ns in ("tenant-a", "tenant-b"))
    api.shows("/apis/metalplane.io/v1alpha1/emulateddisks", mine, theirs)


def bmc() -> Json:
    return {"bmc": {"address": "10.99.7.7", "secretRef": {"name": "bmc-0"}}, "dpu": {"name": "dpu0"}}


def emulated(namespace: str) -> Json:
    context = {"protocol": "nvmf-tcp", "traddr": "192.0.2.9", "hostnqn": "nqn.secret-host"}
    return {"machineRef": {"namespace": namespace}, "source": {"csi": {"publishContext": context}}}


def files(bundle: Path) -> dict[str, str]:
    with tarfile.open(bundle) as archive:
        return {
            member.name.partition("/")[2]: file.read().decode()
            for member in archive
            if (file := archive.extractfile(member)) is not None
        }


def test_a_bundle_tells_of_the_machine_and_gives_nothing_away(api: Api, kubeconfig: Path, tmp_path: Path) -> None:
    cloud(api)
    done = run(kubeconfig, "support-bundle", "--file", str(tmp_path / "b.tar.gz"))
    assert done.returncode == 0, done.stderr
    packed = files(tmp_path / "b.tar.gz")
    everything = "".join(packed.values())
    for hidden in (
        "ssh-ed25519",
        "10.99.7.7",
        "192.0.2.9",
        "nqn.secret-host",
        "last-applied",
        "managedFields",
        "s3cret",
    ):
        assert hidden not in everything, hidden
    assert "tenant-b" not in everything
    assert "disk-tenant-a" in packed["objects/emulateddisks.json"]
    assert "BMC REDACTED does not answer" in packed["machines/tenant-a/bm-01.txt"]
    assert '"team": "blue"' in packed["objects/baremetalmachines.json"]
    assert "events: " in packed["left-out.txt"]
    assert not [path for _, path, _ in api.requests if "secrets" in path]
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o077 == 0


def test_infrastructure_is_kept_only_where_it_is_asked_for(api: Api, kubeconfig: Path, tmp_path: Path) -> None:
    cloud(api)
    file = tmp_path / "b.tar.gz"
    assert run(kubeconfig, "support-bundle", "--include-infrastructure", "--file", str(file)).returncode == 0
    everything = "".join(files(file).values())
    assert "10.99.7.7" in everything
    assert "192.0.2.9" in everything
    assert "nqn.secret-host" not in everything
    assert "ssh-ed25519" not in everything


def test_a_bundle_that_cannot_be_written_leaves_nothing(api: Api, kubeconfig: Path, tmp_path: Path) -> None:
    cloud(api)
    done = run(kubeconfig, "support-bundle", "--file", str(tmp_path / "none" / "b.tar.gz"))
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_cleaning_changes_a_copy() -> None:
    obj: Json = {"metadata": {"managedFields": []}, "spec": bmc()}
    assert clean(obj, frozenset(), infrastructure=False)["spec"]["bmc"]["address"] == "REDACTED"
    assert obj["spec"]["bmc"]["address"] == "10.99.7.7"
