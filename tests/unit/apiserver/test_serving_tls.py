"""Certificates that rotate while the server listens."""

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from provider.apiserver.authentication import common_name
from provider.apiserver.tls import ServingTLS
from provider.runtime.errors import ConfigurationError
from sandbox import pki


def authority(directory: Path, name: str) -> pki.Authority:
    """An authority of the test's own."""
    return pki.Authority(directory / name, name)


def serving(directory: Path, name: str, *, served: str = "api") -> tuple[Path, Path]:
    """The directory that is served from, with a certificate of the authority ``name``; and that authority's file."""
    issuer = authority(directory, name)
    credential = issuer.server("server", names=("localhost", served))
    return pki.as_directory(credential, issuer.certificate, directory / "served"), issuer.certificate


async def handshake(port: int, ca: Path, client: pki.Credential | None = None) -> tuple[str, str]:
    """The names that both sides showed: the server's certificate, and what the server saw of the client's."""
    context = ssl.create_default_context(cafile=str(ca))
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        # By TLS 1.3 a client believes itself connected before the server has looked at its certificate.
        seen_by_server = (await reader.readuntil(b"\n")).decode().strip()
        return common_name(writer.get_extra_info("peercert")), seen_by_server
    finally:
        writer.close()


async def listen(tls: ServingTLS) -> tuple[asyncio.Server, int]:
    """A server that tells each client as whom it knows it."""

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate: dict[str, Any] | None = writer.get_extra_info("peercert")
        writer.write(f"{common_name(certificate) if certificate else '-'}\n".encode())
        writer.close()

    server = await asyncio.start_server(tell, "127.0.0.1", 0, ssl=tls.context)
    return server, server.sockets[0].getsockname()[1]


def age(directory: Path) -> None:
    """Make the files older than whatever is written now."""
    for path in directory.iterdir():
        os.utime(path, (1, 1))


async def test_a_new_certificate_is_shown_to_the_next_client(tmp_path: Path) -> None:
    directory, first = serving(tmp_path, "first")
    tls = ServingTLS(directory)
    server, port = await listen(tls)
    async with server:
        await handshake(port, first)
        age(directory)
        tls.look()
        _, second = serving(tmp_path, "second")
        with pytest.raises(ssl.SSLError):
            await handshake(port, second)
        tls.look()
        await handshake(port, second)
        with pytest.raises(ssl.SSLError):
            await handshake(port, first)


async def test_half_of_a_new_pair_is_not_taken_up(tmp_path: Path) -> None:
    directory, first = serving(tmp_path, "first")
    tls = ServingTLS(directory)
    server, port = await listen(tls)
    async with server:
        age(directory)
        other = authority(tmp_path, "second").server("server", names=("localhost",))
        (directory / "tls.crt").write_bytes(other.certificate.read_bytes())
        tls.look()
        await handshake(port, first)
        (directory / "tls.key").write_bytes(other.key.read_bytes())
        tls.look()
        await handshake(port, authority(tmp_path, "second").certificate)


async def test_clients_are_believed_by_the_authority_of_the_moment(tmp_path: Path) -> None:
    directory, ca = serving(tmp_path, "serving")
    old, new = authority(tmp_path, "old"), authority(tmp_path, "new")
    before, after = old.client("proxy", common_name="proxy"), new.client("proxy", common_name="proxy")
    tls = ServingTLS(directory)
    server, port = await listen(tls)
    async with server:
        assert (await handshake(port, ca))[1] == "-"
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await handshake(port, ca, before)
        tls.believe(old.certificate.read_text())
        assert (await handshake(port, ca, before))[1] == "proxy"
        tls.believe(new.certificate.read_text())
        assert (await handshake(port, ca, after))[1] == "proxy"
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await handshake(port, ca, before)


def test_a_directory_without_a_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=str(tmp_path)):
        ServingTLS(tmp_path)
