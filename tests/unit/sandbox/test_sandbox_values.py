"""The sandbox's plain values: paths, ports, specs, the table of processes, the inventory."""

import json
from pathlib import Path

import pytest

from provider.api.names import INSTALLATION_NAMESPACE, PROVIDER_LEASE, dpu_namespace, dpu_user
from sandbox import inventory, processes, state
from sandbox.images import Image
from sandbox.paths import Layout
from sandbox.process import ProcessRecord, ProcessSpec, Ready
from sandbox.status import render
from sandbox.targets import STAND_INS

SOCKET_PATH_BYTES = 108
IMAGE = Image("tiny", "0" * 64, 1 << 20, Path("/nonexistent"))
PORTS = state.Ports(1, 2, 3, 4, 5, 6, (7, 8), (9, 10))


def test_two_directories_share_nothing(tmp_path: Path) -> None:
    one, other = Layout.of(tmp_path / "one"), Layout.of(tmp_path / "other")
    assert not {one.run, one.files, one.tenant_namespace, one.dpu_namespace(0)} & {
        other.run,
        other.files,
        other.tenant_namespace,
        other.dpu_namespace(0),
    }
    assert Layout.of(f"{tmp_path}/x/../one") == one


def test_sockets_fit_their_limit_however_deep_the_directory_lies(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / ("deep" * 50) / ("deeper" * 30))
    vhost = layout.dpu_run(99) / "vhost" / "mp-01234567-89ab-cdef-0123-456789abcdef"
    for path in (layout.supervisor_socket, layout.server_run(99) / "console.sock", vhost):
        assert len(str(path)) < SOCKET_PATH_BYTES


def test_ports_differ_and_are_kept(tmp_path: Path) -> None:
    chosen = state.choose(3, "tiny", "abcdef01")
    ports = chosen.ports
    numbers = [ports.etcd_client, ports.etcd_peer, ports.apiserver, ports.controller_manager, ports.function]
    assert len({*numbers, *ports.bmc}) == len(numbers) + 3
    state.write(tmp_path / "state.json", chosen)
    assert state.read(tmp_path / "state.json") == chosen


def test_a_sandbox_of_an_earlier_boot_is_none(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state.write(path, state.State("an earlier boot", 1, "tiny", PORTS))
    assert state.read(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"boot_id": "x"}'])
def test_an_unreadable_state_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    assert state.read(tmp_path / "state.json") is None


def test_a_spec_survives_its_way_to_the_supervisor() -> None:
    spec = ProcessSpec("x", ("a", "b"), {"K": "V"}, "ns", (Ready("unix", "/s"), Ready()), 3.0, 4.0)
    back = ProcessSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec
    assert back.digest == spec.digest
    assert spec.command == ["nsenter", "--net=/run/netns/ns", "--", "a", "b"]


def test_a_record_does_not_name_a_stranger(tmp_path: Path) -> None:
    record = ProcessRecord.of(1, "digest")
    record.write(tmp_path / "pid.json")
    assert ProcessRecord.read(tmp_path / "pid.json") == record
    ProcessRecord(1, record.started_at + 1, "digest").write(tmp_path / "pid.json")
    assert ProcessRecord.read(tmp_path / "pid.json") is None


def test_process_names_and_sockets_are_unique(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    layout.server(0).mkdir(parents=True)
    layout.server(1).mkdir(parents=True)
    specs = [*processes.rack(layout), *processes.storage(layout, STAND_INS), processes.function(PORTS, tmp_path)]
    for number in (0, 1):
        specs += processes.server(layout, number, PORTS, inventory.server_size("tiny"))
        specs += processes.dpu(layout, number, PORTS, STAND_INS)
        specs.append(processes.agent(layout, number, tmp_path / "kubeconfig", f"uid-{number}"))
    names = [spec.name for spec in specs]
    targets = [fact.target for spec in specs for fact in spec.ready if fact.target]
    assert len(set(names)) == len(names)
    assert len(set(targets)) == len(targets)


def test_the_agent_runs_in_its_dpus_network_namespace_with_its_own_identity(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    spec = processes.agent(layout, 1, layout.dpu(1) / "kubeconfig", "uid")
    assert spec.network_namespace == layout.dpu_namespace(1)
    assert f"--kubeconfig={layout.dpu(1) / 'kubeconfig'}" in spec.argv
    assert "--namespace=metalplane-dpu-dpu1" in spec.argv


def test_no_right_of_a_dpu_reaches_beyond_its_namespace() -> None:
    bound = [
        item
        for item in inventory.objects(IMAGE, [(1, "secret"), (2, "secret")])
        if item["kind"].endswith("Binding") and any(subject["name"] == dpu_user("dpu1") for subject in item["subjects"])
    ]
    assert [(item["kind"], item["metadata"]["namespace"]) for item in bound] == [("RoleBinding", dpu_namespace("dpu1"))]


def test_secrets_are_written_in_dpu_namespaces_and_the_installations_alone() -> None:
    of_secrets = {
        (item["metadata"].get("namespace"), item["metadata"]["name"]): rule["verbs"]
        for item in inventory.objects(IMAGE, [(1, "secret")])
        if item["kind"] in ("ClusterRole", "Role")
        for rule in item["rules"]
        if "secrets" in rule["resources"]
    }
    assert of_secrets == {
        (None, "metalplane-provider"): ["get"],
        (INSTALLATION_NAMESPACE, "api"): ["get", "create"],
        (dpu_namespace("dpu0"), "agent"): ["get", "list", "watch"],
        (dpu_namespace("dpu0"), "provider"): ["create", "patch", "delete"],
    }


def test_the_provider_writes_no_lease_but_its_own() -> None:
    rules = [
        (item["metadata"].get("namespace"), rule)
        for item in inventory.objects(IMAGE, [(1, "secret")])
        if item["kind"] in ("ClusterRole", "Role") and "provider" in item["metadata"]["name"]
        for rule in item["rules"]
        if "leases" in rule["resources"] and set(rule["verbs"]) - {"get", "list", "watch"}
    ]
    assert {namespace for namespace, _ in rules} == {INSTALLATION_NAMESPACE}
    assert [rule.get("resourceNames") for _, rule in rules if rule["verbs"] != ["create"]] == [[PROVIDER_LEASE]]


def test_status_renders_a_process_that_waits_and_a_cluster_that_does_not_answer() -> None:
    process = {"name": "etcd", "state": "backoff", "pid": None, "restarts": 3, "lastExit": "status 1"}
    text = render({"up": False, "id": "x", "processes": [process], "cluster": {"error": "refused"}})
    assert "etcd" in text
    assert "backoff" in text
    assert text.endswith("cluster: refused")


def test_status_counts_the_machines_of_a_large_cloud_by_their_state() -> None:
    machines = [
        {"namespace": "tenant-a", "name": f"bm-{number}", "status": "Starting" if number == 7 else "Running"}
        for number in range(100)
    ]
    cluster = {"version": "v1", "servers": [f"server{number}" for number in range(100)], "machines": machines}
    lines = render({"up": True, "id": "x", "processes": [], "cluster": cluster}).splitlines()
    assert lines[1:] == ["cluster: Kubernetes v1, 100 servers", "  99 machines Running", "  1 machines Starting"]
