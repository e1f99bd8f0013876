"""bm-api's process: the only reader of its arguments and environment; puts its parts together."""

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib import metadata
from pathlib import Path

from aiohttp import web

from provider.api.names import INSTALLATION_NAMESPACE
from provider.api.subresources import SERVICE
from provider.apiserver import answers
from provider.apiserver.authentication import Authentication
from provider.apiserver.authorization import Authorization
from provider.apiserver.connections import Connections
from provider.apiserver.console.consoles import Consoles, Seat
from provider.apiserver.console.session import Limits
from provider.apiserver.machines import MachineVerbs
from provider.apiserver.objects import Objects
from provider.apiserver.requestheader import FrontProxy, FrontProxyConfig
from provider.apiserver.server import application
from provider.apiserver.servers import ServerVerbs
from provider.apiserver.streams import Streams
from provider.apiserver.tls import AUTHORITY, ServingTLS, keep_connections_small
from provider.bmc.sessions import BMCSessions
from provider.controllers.powerreading import PowerReadings
from provider.runtime import logs
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.context import Runtime
from provider.runtime.errors import MetalplaneError
from provider.runtime.events import EventRecorder
from provider.runtime.health import Health
from provider.runtime.kubeconfig import in_cluster, load
from provider.runtime.lease import Unopposed
from provider.runtime.metrics import Metrics
from provider.runtime.shell import run
from provider.runtime.signals import stop_on_signals
from provider.runtime.together import together
from provider.runtime.tracing import make_tracer

_DRAIN_S = 5.0
_LOG = logging.getLogger("provider.apiserver")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m provider.apiserver",
        description="The aggregated API server subresources.metalplane.io: power, hot plug and consoles of machines.",
        epilog="Environment: OTEL_EXPORTER_OTLP_ENDPOINT, a base URL to which spans are sent by OTLP/HTTP.",
    )
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig to use (default: in-cluster)")
    parser.add_argument("--namespace", default=INSTALLATION_NAMESPACE, help="installation namespace (%(default)s)")
    parser.add_argument("--identity", default=f"{socket.gethostname()}-{os.getpid()}", help="name of this replica")
    parser.add_argument("--address", default="0.0.0.0", help="address to listen at (%(default)s)")  # noqa: S104
    parser.add_argument("--port", type=int, default=8443, help="port to listen at, by HTTPS (%(default)s)")
    parser.add_argument(
        "--share-port", action="store_true", help="let replicas on one machine listen at the same port (SO_REUSEPORT)"
    )
    parser.add_argument(
        "--advertise",
        type=_address,
        metavar="HOST:PORT",
        help="where other replicas reach this one; listened at as well where it is another port",
    )
    parser.add_argument(
        "--tls-dir",
        type=Path,
        required=True,
        help="directory with tls.crt and tls.key to serve with, taken up anew when they change, and ca.crt",
    )
    parser.add_argument(
        "--health-port", type=int, default=0, help="port for /healthz, /readyz and /metrics by plain HTTP; 0 is off"
    )
    parser.add_argument(
        "--reauthorise-after",
        type=_seconds,
        default=Limits().reauthorise_every_s,
        metavar="SECONDS",
        help="how often the rights behind an open console are asked for again (%(default)g)",
    )
    parser.add_argument(
        "--trace-dir",
        type=Path,
        help="directory for spans as OTLP/JSON files; where provider and agents write theirs, traces are read from it",
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser.parse_args(argv)


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 10.0.0.5:8443")
    return host, int(port)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


async def serve(args: argparse.Namespace) -> None:
    """Serve until the process is told to stop."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    keep_connections_small()
    access = load(args.kubeconfig) if args.kubeconfig else in_cluster(os.environ)
    cache = Cache()
    async with AsyncExitStack() as resources:
        tracer = make_tracer(
            SERVICE,
            version=metadata.version("metalplane"),
            directory=args.trace_dir,
            otlp_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
        )
        resources.callback(tracer.close)
        client = await resources.enter_async_context(
            KubeClient(access, tracer=tracer, on_write=cache.observe, user_agent=SERVICE)
        )
        tls = ServingTLS(args.tls_dir)
        front_proxy = FrontProxyConfig(client)
        events = EventRecorder(client, controller=SERVICE, instance=args.identity)
        metrics = Metrics()
        # No leader: a replica's consoles are its own by a Lease for each server, and verbs are anybody's.
        runtime = Runtime(client, cache, tracer, events, Unopposed(), metrics=metrics)
        if args.health_port:
            health = Health(args.health_port, {"serving": front_proxy.known}, metrics)
            await health.start()
            resources.push_async_callback(health.stop)
        bmcs = BMCSessions()
        resources.push_async_callback(bmcs.close)
        host, port = args.advertise or (socket.gethostname(), args.port)
        seat = Seat(args.namespace, args.identity, f"{host}:{port}", args.tls_dir / AUTHORITY)
        consoles = Consoles(runtime, seat, bmcs, limits=Limits(reauthorise_every_s=args.reauthorise_after))
        resources.push_async_callback(consoles.close)
        app = _application(args, runtime, consoles, bmcs, front_proxy, tls, stop)
        connections = Connections()
        app.middlewares.append(connections.noting)
        server = await _listen(args, app, tls, resources)

        def believe(known: FrontProxy) -> None:
            tls.believe(known.client_ca)
            # A connection that is kept is checked no more: whoever was let in by others comes again.
            connections.let_go(server)

        beside = {
            "front proxy": front_proxy.follow(believe),
            "certificate": tls.follow(),
            "events": events.run(),
            "consoles": consoles.run(),
        }
        watching = run([consoles.controller], runtime, namespaces=None, ready=asyncio.Event(), stop=stop)
        await together(watching, beside)


def _application(
    args: argparse.Namespace,
    runtime: Runtime,
    consoles: Consoles,
    bmcs: BMCSessions,
    front_proxy: FrontProxyConfig,
    tls: ServingTLS,
    stop: asyncio.Event,
) -> web.Application:
    client = runtime.client
    objects, authorization = Objects(client, runtime.tracer), Authorization(client)
    machines = MachineVerbs(objects, runtime.events)
    servers = ServerVerbs(objects, machines, PowerReadings(client, bmcs, args.namespace))
    streams = Streams(objects, consoles, authorization)
    app = application(
        answers.table(objects, machines, servers, streams, args.trace_dir),
        Authentication(client, lambda: front_proxy.front_proxy, tls.still_believes),
        authorization,
        lambda: _why_not(front_proxy, stop),
    )
    app.router.add_routes(consoles.internal_routes())
    return app


async def _listen(
    args: argparse.Namespace, app: web.Application, tls: ServingTLS, resources: AsyncExitStack
) -> web.Server:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_DRAIN_S)
    await runner.setup()
    resources.push_async_callback(runner.cleanup)
    shared = args.share_port or None
    await web.TCPSite(runner, args.address, args.port, ssl_context=tls.context, reuse_port=shared).start()
    if args.advertise and args.advertise[1] != args.port:
        await web.TCPSite(runner, *args.advertise, ssl_context=tls.context).start()
    _LOG.info("serving address=%s port=%d", args.address, args.port)
    assert runner.server is not None
    return runner.server


def _why_not(front_proxy: FrontProxyConfig, stop: asyncio.Event) -> str:
    if stop.is_set():
        return "shutting down"
    return "" if front_proxy.known.is_set() else "the front proxy's configuration is not read yet"


def main() -> None:
    """Run bm-api."""
    args = arguments()
    logs.begin(args.log_level)
    try:
        asyncio.run(serve(args))
    except* MetalplaneError as group:
        _LOG.error("%s", group.exceptions[0])
        sys.exit(1)
    except* OSError as group:
        _LOG.error("cannot listen at %s:%d: %s", args.address, args.port, group.exceptions[0])
        sys.exit(1)


if __name__ == "__main__":
    main()
