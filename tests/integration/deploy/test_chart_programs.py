"""The chart starts our programs with options that they have, and their certificates fit."""

import base64
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dpu_handler.__main__ import arguments as agent_arguments
from dpu_handler.lvol.__main__ import arguments as lvol_arguments
from provider.__main__ import arguments as provider_arguments
from provider.api import subresources
from provider.apiserver.__main__ import arguments as api_arguments
from provider.function.__main__ import arguments as function_arguments
from tests.integration.deploy.helm import NAMESPACE, Helm, example, named

Json = dict[str, Any]

PROGRAMS: dict[str, tuple[str, list[str], Callable[[Sequence[str]], Any]]] = {
    "metalplane-provider": ("Deployment", ["python", "-m", "provider"], provider_arguments),
    "metalplane-api": ("Deployment", ["python", "-m", "provider.apiserver"], api_arguments),
    "metalplane-function": ("Deployment", ["python", "-m", "provider.function"], function_arguments),
    "metalplane-lvol": ("Deployment", ["python", "-m", "dpu_handler.lvol"], lvol_arguments),
    "metalplane-agent": ("DaemonSet", ["python", "-m", "dpu_handler"], agent_arguments),
}


@pytest.fixture(scope="module")
def objects(helm: Helm) -> list[Json]:
    return helm.template(example("full"))


def pod(objects: list[Json], name: str) -> Json:
    spec: Json = named(objects, PROGRAMS[name][0], name)["spec"]["template"]["spec"]
    return spec


def started_with(objects: list[Json], name: str) -> Any:
    """What the program makes of its command line, on a Node named dpu0."""
    (container,) = pod(objects, name)["containers"]
    fields = {"$(NODE_NAME)": "dpu0", "$(POD_NAME)": f"{name}-0", "$(POD_IP)": "192.0.2.1"}
    args: list[str] = container["args"]
    for reference, value in fields.items():
        args = [argument.replace(reference, value) for argument in args]
    assert not any("$(" in argument for argument in args)
    return PROGRAMS[name][2](args)


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_knows_its_options(objects: list[Json], name: str) -> None:
    (container,) = pod(objects, name)["containers"]
    assert container["command"] == PROGRAMS[name][1]
    started_with(objects, name)


def test_each_replica_of_the_provider_has_a_seat_of_its_own(objects: list[Json]) -> None:
    provider = started_with(objects, "metalplane-provider")
    assert (provider.identity, provider.namespace) == ("metalplane-provider-0", NAMESPACE)
    assert provider.function == [("function-metalplane", f"metalplane-function.{NAMESPACE}.svc:9443")]
    assert provider.csi == [("lvol.csi.metalplane.io", f"metalplane-lvol.{NAMESPACE}.svc:9000")]


def test_each_replica_of_bm_api_tells_its_peers_where_it_listens(objects: list[Json]) -> None:
    api = started_with(objects, "metalplane-api")
    assert (api.identity, api.namespace) == ("metalplane-api-0", NAMESPACE)
    assert (api.address, api.advertise) == ("0.0.0.0", ("192.0.2.1", api.port))  # noqa: S104
    (container,) = pod(objects, "metalplane-api")["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"https": api.port, "health": api.health_port}
    (port,) = named(objects, "Service", "metalplane-api")["spec"]["ports"]
    assert port["targetPort"] == "https"
    probes = [container[f"{probe}Probe"]["httpGet"] for probe in ("liveness", "readiness")]
    assert probes == [{"path": path, "port": "https", "scheme": "HTTPS"} for path in ("/livez", "/readyz")]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == str(api.tls_dir)]
    (volume,) = [volume for volume in pod(objects, "metalplane-api")["volumes"] if volume["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "metalplane-api-server-tls"


def test_an_agent_finds_its_dpu_by_its_node(objects: list[Json]) -> None:
    agent = started_with(objects, "metalplane-agent")
    assert (agent.dpu, agent.namespace) == ("dpu0", "metalplane-dpu-dpu0")
    assert pod(objects, "metalplane-agent")["nodeSelector"] == {"metalplane.io/dpu": "true"}


@pytest.mark.parametrize("name", ["metalplane-agent", "metalplane-lvol"])
def test_paths_that_are_named_to_the_target_mean_the_same_file_there(objects: list[Json], name: str) -> None:
    started = vars(started_with(objects, name))
    host = {
        volume["name"]: volume["hostPath"]["path"] for volume in pod(objects, name)["volumes"] if "hostPath" in volume
    }
    (container,) = pod(objects, name)["containers"]
    same = [mount["mountPath"] for mount in container["volumeMounts"] if host.get(mount["name"]) == mount["mountPath"]]
    named_to_others = (
        "spdk_socket",
        "vhost_dir",
        "ovsdb_socket",
        "emulation_socket",
        "state_dir",
        "image_dir",
        "pool_file",
    )
    for option in named_to_others:
        path = started.get(option)
        if path is not None:
            assert any(path.is_relative_to(directory) for directory in same), option


def test_the_provider_runs_as_nobody_and_no_program_gains_privileges(objects: list[Json]) -> None:
    for name in PROGRAMS:
        spec = pod(objects, name)
        (container,) = spec["containers"]
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"]["drop"] == ["ALL"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        root = name in ("metalplane-agent", "metalplane-lvol")
        assert spec["securityContext"].get("runAsNonRoot", False) is not root
        assert spec.get("hostNetwork", False) is (name == "metalplane-agent")
        assert spec.get("automountServiceAccountToken", True) is (name in ("metalplane-provider", "metalplane-api"))


@pytest.mark.parametrize(("seam", "host"), [("function", "metalplane-function"), ("csi", "metalplane-lvol")])
def test_generated_certificates_fit_each_other_and_the_name_that_is_called(
    objects: list[Json], tmp_path: Path, seam: str, host: str
) -> None:
    server = context(objects, f"metalplane-{seam}-server-tls", ssl.PROTOCOL_TLS_SERVER, tmp_path)
    client = context(objects, f"metalplane-{seam}-client-tls", ssl.PROTOCOL_TLS_CLIENT, tmp_path)
    shake_hands(server, client, f"{host}.{NAMESPACE}.svc")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "elsewhere")
    other = "csi" if seam == "function" else "function"
    stranger = context(objects, f"metalplane-{other}-client-tls", ssl.PROTOCOL_TLS_CLIENT, tmp_path)
    with pytest.raises(ssl.SSLError):
        shake_hands(server, stranger, f"{host}.{NAMESPACE}.svc")


def test_the_api_server_trusts_the_certificate_that_bm_api_shows_and_so_do_its_peers(
    objects: list[Json], tmp_path: Path
) -> None:
    server = context(objects, "metalplane-api-server-tls", ssl.PROTOCOL_TLS_SERVER, tmp_path)
    server.verify_mode = ssl.CERT_NONE
    bundle = base64.b64decode(named(objects, "APIService", subresources.API_SERVICE)["spec"]["caBundle"]).decode()
    client = ssl.create_default_context(cadata=bundle)
    shake_hands(server, client, subresources.service_host(NAMESPACE))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "elsewhere")
    assert bundle == (tmp_path / "metalplane-api-server-tls.ca.crt").read_text(), "a peer is trusted by ca.crt"


def context(objects: list[Json], secret: str, protocol: int, directory: Path) -> ssl.SSLContext:
    data = named(objects, "Secret", secret)["data"]
    for name, content in data.items():
        (directory / f"{secret}.{name}").write_bytes(base64.b64decode(content))
    made = ssl.SSLContext(protocol)
    made.load_cert_chain(directory / f"{secret}.tls.crt", directory / f"{secret}.tls.key")
    made.load_verify_locations(directory / f"{secret}.ca.crt")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A TLS handshake in memory; raises what either side says against the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sides.remove(side)
