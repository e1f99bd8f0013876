"""The control plane's process: the only reader of its arguments and environment; puts its parts together."""

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from importlib import metadata
from pathlib import Path

from provider import controllers, csi
from provider.api.names import INSTALLATION_NAMESPACE, PROVIDER_LEASE
from provider.bmc.sessions import BMCSessions
from provider.composition import pipeline
from provider.composition.controller import CompositionController
from provider.composition.functions import FunctionEndpoint, FunctionRunner
from provider.composition.ownership import refuse_foreign_kind
from provider.controllers.assembly import Assembly
from provider.csi.driver import Driver
from provider.runtime import logs
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller
from provider.runtime.errors import LeadershipLost, MetalplaneError
from provider.runtime.events import EventRecorder
from provider.runtime.health import Health
from provider.runtime.kubeconfig import in_cluster, load
from provider.runtime.lease import LeaderLease, Leadership, Unopposed
from provider.runtime.metrics import Metrics
from provider.runtime.mutual_tls import client_credentials, stays_on_this_machine
from provider.runtime.shell import ShellSettings, run
from provider.runtime.signals import stop_on_signals
from provider.runtime.together import together
from provider.runtime.tracing import make_tracer

SERVICE = "metalplane-provider"
DEFAULT_FUNCTION = "function-metalplane=127.0.0.1:9443"

_LOG = logging.getLogger("provider")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m provider",
        description="The control plane of metalplane: composes machines and realises their managed resources.",
        epilog="Environment: OTEL_EXPORTER_OTLP_ENDPOINT, a base URL to which spans are sent by OTLP/HTTP.",
    )
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig to use (default: in-cluster)")
    parser.add_argument("--namespace", default=INSTALLATION_NAMESPACE, help="installation namespace (%(default)s)")
    parser.add_argument("--identity", default=f"{socket.gethostname()}-{os.getpid()}", help="name in the leader Lease")
    parser.add_argument(
        "--engine",
        choices=["embedded", "off"],
        default="embedded",
        help="who composes machines: the embedded engine, or (off) a Crossplane in the cluster (%(default)s)",
    )
    parser.add_argument(
        "--function",
        type=_pair,
        action="append",
        metavar="NAME=HOST:PORT",
        help=f"where a composition function listens; may be repeated ({DEFAULT_FUNCTION})",
    )
    parser.add_argument(
        "--function-tls-dir", type=Path, help="directory with tls.crt, tls.key, ca.crt for functions (plain without)"
    )
    parser.add_argument(
        "--csi",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=ENDPOINT",
        help="a CSI driver to serve; may be repeated",
    )
    parser.add_argument(
        "--csi-tls-dir",
        type=Path,
        help="directory with tls.crt, tls.key, ca.crt for CSI drivers; needed for endpoints other than unix:PATH",
    )
    parser.add_argument("--trace-dir", type=Path, help="directory for spans as OTLP/JSON files")
    parser.add_argument(
        "--health-port",
        type=int,
        default=0,
        help="port for /healthz and /readyz, ready when leading or standing by; 0 is off",
    )
    parser.add_argument(
        "--no-leader-elect", action="store_true", help="do not wait for the Lease: no other replica runs"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser.parse_args(argv)


async def serve(args: argparse.Namespace) -> None:
    """Run until the process is told to stop, or has lost the Lease."""
    stop, ready = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop)
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
        # The Lease is renewed by a client of its own: it must not ask the guard that it is itself.
        lease_client = await resources.enter_async_context(KubeClient(access, user_agent=SERVICE))
        lease = LeaderLease(lease_client, args.namespace, PROVIDER_LEASE, args.identity)
        metrics = Metrics()
        if args.health_port:
            states = {"reconciling": ready, "standing by": lease.standing_by}
            health = Health(args.health_port, states, metrics)
            await health.start()
            resources.push_async_callback(health.stop)
        leader = Unopposed() if args.no_leader_elect else await _lead(lease, stop, resources)
        if leader is None:
            return
        client = await resources.enter_async_context(
            KubeClient(access, tracer=tracer, guard=leader.check, on_write=cache.observe, user_agent=SERVICE)
        )
        events = EventRecorder(lease_client, controller=SERVICE, instance=args.identity)
        runtime = Runtime(client, cache, tracer, events, leader, metrics=metrics)
        beside = {"events": events.run()}
        if isinstance(leader, LeaderLease):
            beside["hold"] = leader.hold()
        await together(_control(args, runtime, ready, stop), beside)


async def _control(args: argparse.Namespace, runtime: Runtime, ready: asyncio.Event, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as resources:
        drivers = {name: _driver(name, endpoint, args.csi_tls_dir, runtime) for name, endpoint in args.csi}
        for driver in drivers.values():
            resources.push_async_callback(driver.close)
        assembly = await _assemble(args, runtime, drivers, resources)
        orphans = csi.orphans.build(runtime, drivers, args.namespace)
        settings = ShellSettings(polls=assembly.polls)
        work = run(
            [*assembly.controllers, orphans], runtime, namespaces=None, ready=ready, stop=stop, settings=settings
        )
        await together(work, {"orphans": orphans.keep(ready)})


async def _lead(lease: LeaderLease, stop: asyncio.Event, resources: AsyncExitStack) -> Leadership | None:
    """Wait for the Lease; None if told to stop before it came."""
    acquiring = asyncio.create_task(lease.acquire(), name="acquire")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not acquiring.done():
        acquiring.cancel()
        return None
    acquiring.result()
    resources.push_async_callback(lease.release)
    return lease


async def _assemble(
    args: argparse.Namespace, runtime: Runtime, drivers: Mapping[str, Driver], resources: AsyncExitStack
) -> Assembly:
    bmcs = BMCSessions()
    resources.push_async_callback(bmcs.close)
    managed = controllers.build(runtime, bmc=bmcs, drivers=list(drivers), installation_namespace=args.namespace)
    every: list[Controller] = [*managed.controllers, *csi.build(runtime, drivers)]
    if args.engine == "embedded":
        await refuse_foreign_kind(runtime.client)
        endpoints = {
            name: FunctionEndpoint(address, args.function_tls_dir)
            for name, address in args.function or [_pair(DEFAULT_FUNCTION)]
        }
        functions = FunctionRunner(endpoints)
        resources.push_async_callback(functions.close)
        every.append(CompositionController(runtime, pipeline.packaged(), functions))
    return Assembly(every, managed.polls)


def _driver(name: str, endpoint: str, tls_dir: Path | None, runtime: Runtime) -> Driver:
    local = stays_on_this_machine(endpoint)
    if tls_dir is None and not local:
        raise SystemExit(f"provider: CSI driver {name} at {endpoint} is reached by network: give --csi-tls-dir")
    credentials = None if local or tls_dir is None else client_credentials(tls_dir)
    return Driver(name, endpoint, runtime.tracer, runtime.leader, credentials)


def _pair(argument: str) -> tuple[str, str]:
    name, separator, value = argument.partition("=")
    if not separator or not name or not value:
        raise argparse.ArgumentTypeError(f"{argument!r} is not NAME=VALUE")
    return name, value


def main() -> None:
    """Run the control plane."""
    args = arguments()
    logs.begin(args.log_level)
    try:
        asyncio.run(serve(args))
    except* LeadershipLost as group:
        # Another replica may be writing by now: to go on for even one request would be to write beside it.
        _LOG.error("the Lease is lost: %s", group.exceptions[0])
        sys.exit(1)
    except* MetalplaneError as group:
        _LOG.error("%s", group.exceptions[0])
        sys.exit(1)


if __name__ == "__main__":
    main()
