"""The driver's process: the only reader of its arguments and environment, and where its parts are put together."""

import argparse
import asyncio
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import grpc.aio

from dpu_handler.lvol import local, nvmf
from dpu_handler.lvol.driver import Driver
from dpu_handler.lvol.exports import Exports, Way
from dpu_handler.lvol.images import Images
from dpu_handler.lvol.interception import CallInterceptor
from dpu_handler.lvol.local import OwnTarget
from dpu_handler.lvol.nvmf import NvmeTcp
from dpu_handler.lvol.planning import Listener
from dpu_handler.lvol.pool import Pool
from dpu_handler.lvol.records import ExportRecords
from dpu_handler.lvol.service import ControllerService, IdentityService
from dpu_handler.lvol.volumes import Volumes
from dpu_handler.southbound import SpdkClient
from provider.runtime import logs
from provider.runtime.csi import csi_pb2_grpc
from provider.runtime.mutual_tls import server_credentials, stays_on_this_machine
from provider.runtime.signals import stop_on_signals
from provider.runtime.tracing import RpcTracer, make_tracer

SERVICE = "metalplane-lvol"
_GRACE_S = 5.0


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m dpu_handler.lvol",
        description="CSI driver lvol.csi.metalplane.io: volumes that are SPDK logical volumes, exported over NVMe-oF.",
        epilog="Environment: OTEL_EXPORTER_OTLP_ENDPOINT, a base URL to which spans are sent by OTLP/HTTP.",
    )
    parser.add_argument("--endpoint", required=True, help="where CSI is served, such as unix:/run/csi.sock")
    parser.add_argument(
        "--tls-dir",
        type=Path,
        help="directory with tls.crt, tls.key, ca.crt: callers need a certificate; "
        "needed for endpoints other than unix:PATH",
    )
    parser.add_argument("--spdk-socket", required=True, type=Path, help="JSON-RPC socket of the SPDK target")
    parser.add_argument("--image-dir", required=True, type=Path, help="directory of golden images, <sha256>.raw each")
    parser.add_argument("--pool-file", required=True, type=Path, help="file that holds the pool; made if missing")
    parser.add_argument("--pool-size-bytes", required=True, type=int, help="size of the pool's file")
    parser.add_argument("--lvstore", default="lvs0", help="name of the lvstore in the pool (default: %(default)s)")
    parser.add_argument("--state-dir", type=Path, help="directory of the driver's records (default: beside the pool)")
    parser.add_argument(
        "--protocol",
        choices=[nvmf.PROTOCOL, local.PROTOCOL],
        default=nvmf.PROTOCOL,
        help="bdev where the target is the one DPU's own, which reaches its volumes as bdevs (default: %(default)s)",
    )
    parser.add_argument("--traddr", help="address at which the target listens for NVMe/TCP")
    parser.add_argument("--trsvcid", help="port at which the target listens for NVMe/TCP")
    parser.add_argument("--trace-dir", type=Path, help="directory for spans as OTLP/JSON files")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    args = parser.parse_args(argv)
    if args.protocol == nvmf.PROTOCOL and not (args.traddr and args.trsvcid):
        parser.error(f"--protocol={nvmf.PROTOCOL} needs --traddr and --trsvcid")
    return args


async def serve(args: argparse.Namespace) -> None:
    """Serve CSI until the process is told to stop."""
    if args.tls_dir is None and not stays_on_this_machine(args.endpoint):
        raise SystemExit(f"{SERVICE}: whoever reaches {args.endpoint} could take any volume: give --tls-dir")
    tracer = make_tracer(
        SERVICE,
        version=metadata.version("metalplane"),
        directory=args.trace_dir,
        otlp_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
    )
    state_dir = args.state_dir or args.pool_file.with_suffix(".state")
    networked = args.protocol == nvmf.PROTOCOL
    pool = Pool(args.pool_file.absolute(), args.pool_size_bytes, args.lvstore, state_dir, networked)
    images = Images(args.image_dir.absolute(), pool)
    way: Way = NvmeTcp(Listener(args.traddr, args.trsvcid)) if networked else OwnTarget()
    exports = Exports(ExportRecords(state_dir / "exports"), way)
    target = SpdkClient(str(args.spdk_socket), tracer=RpcTracer(tracer))
    driver = Driver(target, pool, images, Volumes(pool, images), exports)
    server = grpc.aio.server(interceptors=[CallInterceptor(tracer)])
    csi_pb2_grpc.add_IdentityServicer_to_server(IdentityService(driver), server)
    csi_pb2_grpc.add_ControllerServicer_to_server(ControllerService(driver), server)
    if args.tls_dir is None:
        server.add_insecure_port(args.endpoint)
    else:
        server.add_secure_port(args.endpoint, server_credentials(args.tls_dir))
    await server.start()
    keeping = asyncio.create_task(driver.keep(), name="keep")
    stop = asyncio.Event()
    stop_on_signals(stop)
    stopping = asyncio.create_task(stop.wait(), name="stop")
    # A fault in keeping the target must end the process rather than leave it serving blindly.
    done, _ = await asyncio.wait({keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await server.stop(_GRACE_S)
    keeping.cancel()
    tracer.close()
    if keeping in done:
        keeping.result()


def main() -> None:
    """Run the driver."""
    args = arguments()
    logs.begin(args.log_level)
    asyncio.run(serve(args))


if __name__ == "__main__":
    main()
