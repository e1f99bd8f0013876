"""The front proxy's authority is exchanged under a living API server, as an administrator does it.

kube-apiserver takes up the file of ``--requestheader-client-ca-file`` and the pair of ``--proxy-client-cert-file`` by
itself. In the config map it only adds: an authority is out once somebody has deleted the config map after it left the
file.
"""

import http.client
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from provider.apiserver.requestheader import NAME, NAMESPACE
from provider.apiserver.routes import PREFIX
from sandbox import pki
from sandbox.apiserver import ApiServer
from tests.integration.apiserver.aggregated import Onlooker, onlooker
from tests.integration.apiserver.direct import Direct
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

ALICE = {"X-Remote-User": "alice"}
PROXY = "front-proxy-client"
OLD, NEW = "metalplane-front-proxy", "front-proxy-of-tomorrow"
_REFUSED = 0
_BETWEEN_REQUESTS_S = 0.05


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[InstalledApi]:
    """A control plane whose authorities are nobody else's, with bm-api behind it."""
    server = ApiServer(tmp_path / "own")
    try:
        server.up()
        api = InstalledApi(server, Rest(server))
        api.start()
        yield api
    finally:
        server.down()


def direct(api: InstalledApi, credential: pki.Credential) -> set[int]:
    """What both replicas answer to whoever has that certificate."""
    return {_code(Direct(api, credential, port=port)) for port in api.ports.api_peers}


def _code(door: Direct) -> int:
    try:
        return door.ask("GET", PREFIX, ALICE).code
    except (ssl.SSLError, ConnectionError):
        return _REFUSED


def write(path: Path, content: bytes) -> None:
    """In one piece, as whoever exchanges a file that is being read."""
    scratch = path.with_suffix(".new")
    scratch.write_bytes(content)
    scratch.rename(path)


def show(shown: pki.Credential, credential: pki.Credential) -> None:
    """Have the API server show another certificate."""
    write(shown.key, credential.key.read_bytes())
    write(shown.certificate, credential.certificate.read_bytes())


def shown_to(api: InstalledApi, looking: Onlooker) -> str:
    """By which authority the certificate is that the API server shows now."""
    api.rest.ask("GET", looking.PATH)
    return looking.issuer


def withdraw(api: InstalledApi, certificate: str) -> bool:
    """Whether the API server publishes an authority no more; where it does, have it write the config map anew."""
    kubectl = api.apiserver.kubectl
    published = kubectl.run("get", "configmap", NAME, f"--namespace={NAMESPACE}", "--output=json", "--ignore-not-found")
    if published and certificate.split()[-4] not in published:
        return True
    kubectl.run("delete", "configmap", NAME, f"--namespace={NAMESPACE}", "--ignore-not-found")
    return False


@contextmanager
def asked_all_the_time(api: InstalledApi) -> Iterator[Counter[int]]:
    """What the API server answers to somebody who asks for our group again and again."""
    codes: Counter[int] = Counter()
    enough = threading.Event()

    def ask() -> None:
        while not enough.wait(_BETWEEN_REQUESTS_S):
            codes[api.rest.ask("GET", PREFIX).code] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield codes
    finally:
        enough.set()
        thread.join()


def test_the_front_proxys_authority_is_exchanged_and_nobody_notices(own_api: InstalledApi, tmp_path: Path) -> None:
    api, directory = own_api, own_api.apiserver.layout.pki / "front-proxy"
    believed, shown = (
        directory / "ca.crt",
        pki.Credential(directory / "kube-apiserver.crt", directory / "kube-apiserver.key"),
    )
    old, tomorrow = pki.Authority(directory, OLD), pki.Authority(tmp_path / "tomorrow", NEW)
    stolen, fresh = old.client("stolen", common_name=PROXY), tomorrow.client("proxy", common_name=PROXY)
    certificates = believed.read_bytes(), tomorrow.certificate.read_bytes()
    both = tmp_path / "both.crt"
    both.write_bytes(b"".join(certificates))

    with onlooker(tmp_path / "onlooker", both) as looking, asked_all_the_time(api) as codes:
        api.apiserver.kubectl.apply(looking.objects())
        eventually(lambda: shown_to(api, looking), lambda issuer: issuer == OLD)
        assert direct(api, stolen) == {200}
        assert direct(api, fresh) == {_REFUSED}

        write(believed, both.read_bytes())
        eventually(lambda: direct(api, fresh), lambda answers: answers == {200})
        assert direct(api, stolen) == {200}

        show(shown, fresh)
        eventually(lambda: shown_to(api, looking), lambda issuer: issuer == NEW)

        with closing(Direct(api, stolen, port=api.ports.api_peers[0]).connection()) as kept:
            assert Direct.ask_on(kept, "GET", PREFIX, ALICE).code == 200
            write(believed, certificates[1])
            eventually(lambda: withdraw(api, certificates[0].decode()), bool)
            eventually(lambda: direct(api, stolen), lambda answers: answers == {_REFUSED})
            with pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException)):
                Direct.ask_on(kept, "GET", PREFIX, ALICE)
        assert direct(api, fresh) == {200}
        before = codes[200]
        eventually(lambda: codes[200] - before, lambda more: more > 10)
    assert set(codes) == {200}, codes
