"""``FunctionRunnerService`` over gRPC: mutual TLS as Crossplane sets it up, or plain text where it was asked for."""

import logging
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as fnv1_grpc
from pydantic import ValidationError

from provider.function.compose import answer
from provider.function.messages import read, unreadable, write

_LOG = logging.getLogger(__name__)


class FunctionRunner(fnv1_grpc.FunctionRunnerServiceServicer):
    """Answers ``RunFunction``."""

    async def RunFunction(  # noqa: N802  (the protocol's name)
        self,
        request: fnv1.RunFunctionRequest,
        context: Any,  # noqa: ARG002  (gRPC's signature)
    ) -> fnv1.RunFunctionResponse:
        """One run of the function."""
        try:
            seen = read(request)
        except ValidationError as error:
            _LOG.warning("a request cannot be read: %s", error)
            return unreadable(request, f"{error.title} cannot be read: {error}")
        return write(request, answer(seen))


def serve_on(address: str, tls_dir: Path | None) -> grpc.aio.Server:
    """A server at ``address``, not yet started. ``tls_dir`` holds tls.crt, tls.key and ca.crt; None: plain text.

    Raises ``OSError`` for certificates that cannot be read, ``RuntimeError`` for an address that cannot be had.
    """
    # By default gRPC shares a port with whoever serves there already, and each gets a part of the calls.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    fnv1_grpc.add_FunctionRunnerServiceServicer_to_server(FunctionRunner(), server)  # type: ignore[no-untyped-call]
    if tls_dir is None:
        server.add_insecure_port(address)
        return server
    pair = ((tls_dir / "tls.key").read_bytes(), (tls_dir / "tls.crt").read_bytes())
    credentials = grpc.ssl_server_credentials(
        [pair], root_certificates=(tls_dir / "ca.crt").read_bytes(), require_client_auth=True
    )
    server.add_secure_port(address, credentials)
    return server
