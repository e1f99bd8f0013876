"""bm-api itself, past the API server."""

import http.client
import json
import ssl
from contextlib import closing

from sandbox import pki
from tests.integration.apiserver.installed import InstalledApi
from tests.integration.rest import Answer

_TIMEOUT_S = 10.0


class Direct:
    """Either replica, or the one that listens at ``port``; with a client's certificate where one is given."""

    def __init__(self, api: InstalledApi, credential: pki.Credential | None = None, *, port: int | None = None) -> None:
        self._port = port or api.ports.api
        self._tls = ssl.create_default_context(cafile=str(api.apiserver.layout.pki / "api" / "ca.crt"))
        if credential is not None:
            self._tls.load_cert_chain(credential.certificate, credential.key)

    def connection(self) -> http.client.HTTPSConnection:
        """To be closed by whoever opened it."""
        return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S, context=self._tls)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
        """What it answers on a connection of its own. Raises ``ssl.SSLError`` or ``ConnectionError`` if not let in."""
        with closing(self.connection()) as connection:
            return self.ask_on(connection, method, path, headers)

    @staticmethod
    def ask_on(
        connection: http.client.HTTPSConnection, method: str, path: str, headers: dict[str, str] | None = None
    ) -> Answer:
        """What it answers on a connection that is kept."""
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read()))
