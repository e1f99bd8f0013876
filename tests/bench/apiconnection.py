"""One connection to the API server as its administrator, open before any clock starts."""

import http.client
import json
import ssl
from typing import Any

from sandbox import state
from sandbox.cloud import Cloud
from tests.bench.waiting import BenchFailed

Json = dict[str, Any]

_PATIENCE_S = 120.0
_REFUSED = 400


class ApiConnection:
    """To be closed by its owner."""

    def __init__(self, cloud: Cloud) -> None:
        directory = cloud.layout.pki / "cluster"
        tls = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        tls.load_cert_chain(directory / "admin.crt", directory / "admin.key")
        chosen = state.read(cloud.layout.state)
        assert chosen is not None, "the cloud is up"
        self._http = http.client.HTTPSConnection("127.0.0.1", chosen.ports.apiserver, timeout=_PATIENCE_S, context=tls)
        self._http.connect()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def post(self, path: str, body: Json) -> Json:
        """The answer; raises ``BenchFailed`` with what the API server refused."""
        self._http.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self._http.getresponse()
        answer: Json = json.loads(response.read())
        if response.status >= _REFUSED:
            raise BenchFailed(f"Posting to {path}", cause=str(answer.get("message")))
        return answer
