"""The agent's process: the only reader of its arguments and environment, and where its parts are put together."""

import argparse
import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from importlib import metadata
from pathlib import Path

from dpu_handler.controllers.drift import watch_for_drift
from dpu_handler.controllers.emulateddisk import EmulatedDiskController
from dpu_handler.controllers.emulatednic import EmulatedNICController
from dpu_handler.controllers.orphans import FIELD_MANAGER as ORPHANS
from dpu_handler.controllers.orphans import DpuOrphans
from dpu_handler.execution.dpu import OVSDB_TABLES, Dpu
from dpu_handler.southbound import EmulationClient, OvsdbClient, SpdkClient
from provider.api.names import AGENT_LEASE, ANNOTATION_AGENT_VERSION, ANNOTATION_NODE_ID
from provider.api.resources import EMULATEDDISK, EMULATEDNIC
from provider.runtime import logs
from provider.runtime.cache import Cache
from provider.runtime.client import KubeClient
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller, Key
from provider.runtime.errors import MetalplaneError
from provider.runtime.events import EventRecorder
from provider.runtime.health import Health
from provider.runtime.kubeconfig import in_cluster, load
from provider.runtime.lease import Heartbeat, Unopposed
from provider.runtime.metrics import Metrics
from provider.runtime.orphans import OrphanController
from provider.runtime.shell import run
from provider.runtime.signals import stop_on_signals
from provider.runtime.together import together
from provider.runtime.tracing import RpcTracer, Tracer, make_tracer

SERVICE = "metalplane-agent"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m dpu_handler",
        description="The agent of one DPU: shows its server the disks and NICs that its namespace asks for.",
        epilog="Environment: OTEL_EXPORTER_OTLP_ENDPOINT, a base URL to which spans are sent by OTLP/HTTP.",
    )
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig of the DPU's identity (default: in-cluster)")
    parser.add_argument("--dpu", required=True, help="name of the DPU")
    parser.add_argument("--namespace", required=True, help="the DPU's namespace, the only one that is read")
    parser.add_argument("--node-id", help="node id for CSI drivers (default: the UID of the DPU's server)")
    parser.add_argument("--spdk-socket", required=True, type=Path, help="JSON-RPC socket of the DPU's SPDK target")
    parser.add_argument(
        "--vhost-dir", type=Path, help="directory of the target's vhost sockets (default: its socket's)"
    )
    parser.add_argument("--ovsdb-socket", required=True, type=Path, help="socket of the DPU's ovsdb-server")
    parser.add_argument("--bridge", default="br0", help="bridge of the NICs' ports (default: %(default)s)")
    parser.add_argument("--emulation-socket", required=True, type=Path, help="JSON-RPC socket of the device emulation")
    parser.add_argument("--state-dir", required=True, type=Path, help="directory for the seeds that the agent builds")
    parser.add_argument("--trace-dir", type=Path, help="directory for spans as OTLP/JSON files")
    parser.add_argument(
        "--health-port", type=int, default=0, help="port of 127.0.0.1 for /healthz, /readyz and /metrics; 0 is off"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser.parse_args(argv)


async def serve(args: argparse.Namespace) -> None:
    """Run until the process is told to stop."""
    version = metadata.version("metalplane")
    tracer = make_tracer(
        SERVICE,
        version=version,
        directory=args.trace_dir,
        otlp_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
    )
    access = load(args.kubeconfig) if args.kubeconfig else in_cluster(os.environ)
    cache = Cache()
    ready, stop = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop)
    metrics = Metrics()
    async with AsyncExitStack() as resources:
        if args.health_port:
            # A DPU's agent shares its host's network: its own kubelet is all that may ask.
            health = Health(args.health_port, {"reconciling": ready}, metrics, host="127.0.0.1")
            await health.start()
            resources.push_async_callback(health.stop)
        client = await resources.enter_async_context(
            KubeClient(access, tracer=tracer, on_write=cache.observe, user_agent=SERVICE)
        )

        def look_again() -> None:
            for resource in (EMULATEDDISK, EMULATEDNIC):
                for obj in cache.list(resource) if cache.tracks(resource) else ():
                    cache.touch(resource, Key.of(obj))

        dpu = _dpu(args, tracer, look_again)
        events = EventRecorder(client, controller=SERVICE, instance=args.dpu)
        runtime = Runtime(client, cache, tracer, events, Unopposed(), metrics=metrics)
        nics = EmulatedNICController(runtime, dpu)
        disks = EmulatedDiskController(runtime, dpu, args.state_dir.absolute())
        orphans = OrphanController(ORPHANS, runtime, args.namespace, DpuOrphans(runtime, dpu, args.namespace))
        annotations = {ANNOTATION_AGENT_VERSION: version}
        if args.node_id:
            annotations[ANNOTATION_NODE_ID] = args.node_id
        heartbeat = Heartbeat(client, args.namespace, AGENT_LEASE, args.dpu, annotations=annotations)
        beside = {
            "heartbeat": heartbeat.run(),
            "drift": watch_for_drift(dpu, look_again, tracer),
            "orphans": orphans.keep(ready),
            "events": events.run(),
        }
        controllers: list[Controller] = [disks, nics, orphans]
        try:
            await together(run(controllers, runtime, namespaces=[args.namespace], ready=ready, stop=stop), beside)
        finally:
            nics.prober.close()
            dpu.close()
            tracer.close()


def _dpu(args: argparse.Namespace, tracer: Tracer, changed: Callable[[], None]) -> Dpu:
    requests = RpcTracer(tracer)
    return Dpu(
        spdk=SpdkClient(args.spdk_socket, tracer=requests),
        emulation=EmulationClient(args.emulation_socket, tracer=requests),
        ovsdb=OvsdbClient(args.ovsdb_socket, OVSDB_TABLES, changed=changed, tracer=requests),
        bridge=args.bridge,
        vhost_dir=(args.vhost_dir or args.spdk_socket.parent).absolute(),
    )


def main() -> None:
    """Run the agent."""
    args = arguments()
    logs.begin(args.log_level)
    try:
        asyncio.run(serve(args))
    except MetalplaneError as error:
        raise SystemExit(f"{SERVICE}: {error}") from error


if __name__ == "__main__":
    main()
