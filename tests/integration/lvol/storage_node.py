"""A storage node as two processes: an SPDK stand-in and the CSI driver, each of which can be killed and started."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc

from dpu_handler.lvol import names
from provider.runtime.csi import csi_pb2, csi_pb2_grpc
from tests.conformance.spdk.targets import StandIn, free_port
from tests.conformance.spdk.wire import Wire
from tests.waiting import wait_for

MIB, GIB = 1 << 20, 1 << 30
IMAGE_BYTES = 8 * MIB
TIMEOUT_S = 20.0

_MODE = csi_pb2.VolumeCapability.AccessMode.SINGLE_NODE_WRITER
CAPABILITY = csi_pb2.VolumeCapability(
    block=csi_pb2.VolumeCapability.BlockVolume(), access_mode=csi_pb2.VolumeCapability.AccessMode(mode=_MODE)
)


class StorageNode:
    """Everything in one directory; ``csi`` and ``identity`` are stubs of the driver's services."""

    def __init__(self, directory: Path) -> None:
        self.target = StandIn(directory / "spdk")
        self.csi_socket = directory / "csi.sock"
        self.port = free_port()
        self._directory = directory
        self._images = directory / "images"
        self._images.mkdir()
        self._driver: subprocess.Popen[bytes] | None = None
        self._channel = grpc.insecure_channel(f"unix:{self.csi_socket}")
        self.csi = csi_pb2_grpc.ControllerStub(self._channel)
        self.identity = csi_pb2_grpc.IdentityStub(self._channel)

    def start(self) -> None:
        self.target.start()
        self.start_driver()

    def stop(self) -> None:
        self._channel.close()
        if self._driver is not None and self._driver.poll() is None:
            self._driver.terminate()
            self._driver.wait()
        self.target.stop()

    def start_driver(self) -> None:
        command = [
            *(sys.executable, "-m", "dpu_handler.lvol", "--endpoint", f"unix:{self.csi_socket}"),
            *("--spdk-socket", str(self.target.socket), "--image-dir", str(self._images)),
            *("--pool-file", str(self._directory / "pool.img"), "--pool-size-bytes", str(4 * GIB)),
            *("--traddr", "127.0.0.1", "--trsvcid", str(self.port)),
        ]
        with (self._directory / "driver.log").open("ab") as log:
            self._driver = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._is_ready, f"the driver is ready ({self._directory / 'driver.log'})")

    def lvols_of(self, sha256: str) -> list[str]:
        """Names of what the target has of an image: its snapshot, and what it was gathered in."""
        of_it = (names.image_snapshot(sha256), names.image_staging(sha256))
        return [lvol["name"] for lvol in self.spdk("bdev_lvol_get_lvols") if lvol["name"] in of_it]

    def kill_driver(self) -> None:
        assert self._driver is not None
        self._driver.kill()
        self._driver.wait()

    def image(self, content: bytes) -> str:
        """Put a golden image there; its digest."""
        whole = (content * (IMAGE_BYTES // len(content) + 1))[:IMAGE_BYTES]
        sha256 = hashlib.sha256(whole).hexdigest()
        self.image_file(sha256).write_bytes(whole)
        return sha256

    def image_file(self, sha256: str) -> Path:
        return self._images / f"{sha256}.raw"

    def create(self, name: str, *, size_bytes: int = 0, sha256: str | None = None) -> csi_pb2.Volume:
        request = csi_pb2.CreateVolumeRequest(
            name=name,
            capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
            volume_capabilities=[CAPABILITY],
            parameters={} if sha256 is None else {"imageSha256": sha256},
        )
        made: csi_pb2.Volume = self.csi.CreateVolume(request, timeout=TIMEOUT_S).volume
        return made

    def delete(self, volume: str) -> None:
        self.csi.DeleteVolume(csi_pb2.DeleteVolumeRequest(volume_id=volume), timeout=TIMEOUT_S)

    def delete_image(self, sha256: str) -> None:
        request = csi_pb2.DeleteSnapshotRequest(snapshot_id=f"image-{sha256}")
        self.csi.DeleteSnapshot(request, timeout=TIMEOUT_S)

    def publish(self, volume: str, node: str) -> dict[str, str]:
        request = csi_pb2.ControllerPublishVolumeRequest(volume_id=volume, node_id=node, volume_capability=CAPABILITY)
        return dict(self.csi.ControllerPublishVolume(request, timeout=TIMEOUT_S).publish_context)

    def unpublish(self, volume: str, node: str) -> None:
        request = csi_pb2.ControllerUnpublishVolumeRequest(volume_id=volume, node_id=node)
        self.csi.ControllerUnpublishVolume(request, timeout=TIMEOUT_S)

    def expand(self, volume: str, size_bytes: int) -> int:
        size = csi_pb2.CapacityRange(required_bytes=size_bytes)
        request = csi_pb2.ControllerExpandVolumeRequest(volume_id=volume, capacity_range=size)
        grown: int = self.csi.ControllerExpandVolume(request, timeout=TIMEOUT_S).capacity_bytes
        return grown

    def spdk(self, method: str, **params: Any) -> Any:
        """Ask the target itself."""
        with Wire(self.target.socket) as wire:
            return wire.call(method, **params)

    def lvol(self, name: str) -> dict[str, Any]:
        """What the target tells about a volume: its own numbers and those of its bdev."""
        (bdev,) = self.spdk("bdev_get_bdevs", name=name)
        detail: dict[str, Any] = bdev["driver_specific"]["lvol"]
        return detail | {"size_bytes": bdev["num_blocks"] * bdev["block_size"], "uuid": bdev["uuid"]}

    def hosts(self, subnqn: str) -> list[str]:
        """Who may connect to a subsystem; nobody when there is none."""
        found = {entry["nqn"]: entry for entry in self.spdk("nvmf_get_subsystems")}
        return [host["nqn"] for host in found[subnqn]["hosts"]] if subnqn in found else []

    def records(self) -> dict[str, str]:
        """Content of the small files that the driver keeps beside the pool, by their names."""
        state = self._directory / "pool.state"
        return {str(path.relative_to(state)): path.read_text() for path in state.rglob("*.json")}

    def changes(self) -> list[str]:
        """Names of all requests so far that change something, in their order."""
        lines = self.target.request_log.read_text().splitlines()
        names = [json.loads(line)["method"] for line in lines]
        return [name for name in names if "_get_" not in name and name != "bdev_wait_for_examine"]

    def _is_ready(self) -> bool:
        assert self._driver is not None
        assert self._driver.poll() is None, f"the driver ended by itself, see {self._directory / 'driver.log'}"
        try:
            return bool(self.identity.Probe(csi_pb2.ProbeRequest(), timeout=TIMEOUT_S).ready.value)
        except grpc.RpcError:
            return False
