"""The serving side of TLS: certificates that rotate without a restart, and clients that may show one.

A context cannot be told to forget an authority, so each change makes a new one, and every handshake takes the newest
(``SSLContext.sni_callback`` is called with and without a server name, Python documentation, ``ssl``). Sessions are
never resumed, for a resumed one would not be checked again.
"""

import asyncio
import logging
import ssl
from asyncio import sslproto
from pathlib import Path
from typing import Any

from provider.runtime.errors import ConfigurationError

LOOKED_AT_S = 5.0
CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"

_BUFFER_BYTES = 32 * 1024

_LOG = logging.getLogger(__name__)


def keep_connections_small() -> None:
    """Have every TLS connection of this process read by 32 KiB, for which asyncio sets aside 256 KiB each.

    Consoles are open by the hundred and idle, and one that is passed through has three connections. A record is 16 KiB
    at most (RFC 8446, section 5.1).
    """
    sslproto.SSLProtocol.max_size = _BUFFER_BYTES


class _Context(ssl.SSLContext):
    """``client_ca``: by which authorities (PEM) it checks certificates of clients; None: it believes none."""

    client_ca: str | None = None


class ServingTLS:
    """``directory`` holds tls.crt and tls.key, as cert-manager and kubelet write them: also exchanged as a whole."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen = self._stamp()
        self._current = self._make(None)
        self.context: ssl.SSLContext = self._make(None)
        """What to listen with; it hands each connection the context of the moment."""
        self.context.sni_callback = self._choose

    def believe(self, client_ca: str) -> None:
        """Check certificates of clients against these authorities (PEM) alone from now on."""
        self._current = self._make(client_ca)

    def still_believes(self, connection: ssl.SSLObject) -> bool:
        """Whether it was by the authorities of now that a connection's client was checked."""
        context = connection.context
        return isinstance(context, _Context) and context.client_ca == self._current.client_ca

    async def follow(self) -> None:
        """Take up new certificates, for ever. A pair that does not fit together yet is read again."""
        while True:
            await asyncio.sleep(LOOKED_AT_S)
            self.look()

    def look(self) -> None:
        """Take up the files if they are others than before."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            self._current = self._make(self._current.client_ca)
        except ConfigurationError as error:
            _LOG.warning("certificate not taken up error=%s", error)
            return
        self._seen = stamp
        _LOG.info("serving certificate taken up directory=%s", self._directory)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _stamp(self) -> tuple[Any, ...]:
        stamps = []
        for name in (CERTIFICATE, KEY):
            try:
                status = (self._directory / name).stat()
                stamps.append((status.st_mtime_ns, status.st_ino, status.st_size))
            except OSError:
                stamps.append((0, 0, 0))
        return tuple(stamps)

    def _make(self, client_ca: str | None) -> _Context:
        context = _Context(ssl.PROTOCOL_TLS_SERVER)
        context.client_ca = client_ca
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        try:
            context.load_cert_chain(self._directory / CERTIFICATE, self._directory / KEY)
            # Who shows no certificate may have a token; one of another authority ends the handshake.
            context.verify_mode = ssl.CERT_OPTIONAL
            if client_ca is not None:
                context.load_verify_locations(cadata=client_ca)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                "read",
                subject=f"the serving certificate in {self._directory}",
                cause=str(error),
                next_step=f"put {CERTIFICATE} and {KEY}, a pair, there (and a PEM authority in the config map)",
            ) from error
        return context
