"""Another aggregated API server, which only looks: at the certificate that the API server shows it."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from provider.api.names import INSTALLATION_NAMESPACE
from sandbox import pki

Json = dict[str, Any]

_GROUP, _VERSION = "onlooker.example", "v1"
_NAME = "onlooker"


class Onlooker:
    """Behind an APIService. ``issuer``: common name of the authority of the certificate that was shown to it last."""

    PATH = f"/apis/{_GROUP}/{_VERSION}"

    def __init__(self, port: int, issuers: list[str]) -> None:
        self._port = port
        self._issuers = issuers

    @property
    def issuer(self) -> str:
        return self._issuers[-1] if self._issuers else ""

    def objects(self) -> list[Json]:
        """What has the API server pass requests on to it."""
        service = {"name": _NAME, "namespace": INSTALLATION_NAMESPACE, "port": self._port}
        spec = {
            "group": _GROUP,
            "version": _VERSION,
            "groupPriorityMinimum": 1000,
            "versionPriority": 10,
            "service": service,
            "insecureSkipTLSVerify": True,
        }
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": _NAME, "namespace": INSTALLATION_NAMESPACE},
                "spec": {"type": "ExternalName", "externalName": "127.0.0.1"},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{_VERSION}.{_GROUP}"},
                "spec": spec,
            },
        ]


@contextmanager
def onlooker(directory: Path, believed: Path) -> Iterator[Onlooker]:
    """One that listens, and believes the authorities in the file ``believed`` (PEM)."""
    credential = pki.Authority(directory, _NAME).server("server", names=("127.0.0.1",))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(credential.certificate, credential.key)
    tls.load_verify_locations(cafile=believed)
    tls.verify_mode = ssl.CERT_OPTIONAL
    issuers: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            certificate = self.connection.getpeercert()
            issuers.append(_common_name(certificate))
            body = json.dumps(
                {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{_GROUP}/{_VERSION}", "resources": []}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (as it is called there)
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        # Each handshake in the thread of its connection: a caller that says nothing holds nobody up.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Onlooker(server.server_port, issuers)
        finally:
            server.shutdown()
            thread.join()


def _common_name(certificate: Json | None) -> str:
    issuer = certificate.get("issuer", ()) if certificate else ()
    return next((value for part in issuer for key, value in part if key == "commonName"), "nobody")
