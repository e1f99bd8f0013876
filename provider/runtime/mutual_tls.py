"""gRPC with mutual TLS. A directory holds tls.crt, tls.key and ca.crt, as cert-manager and Crossplane write them.

They are read when a server or a channel is made: a process is restarted to take new ones up.
"""

from pathlib import Path

import grpc

_UNIX = ("unix:", "unix-abstract:")


def client_credentials(directory: Path) -> grpc.ChannelCredentials:
    """Shows the certificate, and believes servers of the authority only."""
    return grpc.ssl_channel_credentials(
        root_certificates=(directory / "ca.crt").read_bytes(),
        private_key=(directory / "tls.key").read_bytes(),
        certificate_chain=(directory / "tls.crt").read_bytes(),
    )


def server_credentials(directory: Path) -> grpc.ServerCredentials:
    """Shows the certificate, and answers clients of the authority only."""
    pair = ((directory / "tls.key").read_bytes(), (directory / "tls.crt").read_bytes())
    authority = (directory / "ca.crt").read_bytes()
    return grpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=True)


def stays_on_this_machine(endpoint: str) -> bool:
    """Whether an endpoint is a Unix socket, whose file says who may use it."""
    return endpoint.startswith(_UNIX)
