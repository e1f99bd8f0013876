"""What one sandbox chose when it first came up and must keep: its shape, its ports, the kernel it lives on."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.targets import STAND_INS, Targets

# Below the kernel's ephemeral range, so that no outgoing connection takes a port while its owner restarts.
_PORTS = range(20000, 32000)


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports, all different."""

    etcd_client: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    function: int
    api: int
    api_peers: tuple[int, int]
    bmc: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class State:
    """The content of state.json."""

    boot_id: str
    servers: int
    image: str
    ports: Ports
    targets: Targets = STAND_INS
    light: bool = False
    """Whether the servers are light ones, all in one process."""


def boot_id() -> str:
    """Names this boot of the kernel: network namespaces and processes do not outlive it, so neither does a sandbox."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def choose(servers: int, image: str, seed: str, targets: Targets = STAND_INS, *, light: bool = False) -> State:
    """A new state with ports that are free now; different seeds begin to look at different places."""
    free = _free_ports(int(seed, 16) % len(_PORTS))
    ports = Ports(
        etcd_client=next(free),
        etcd_peer=next(free),
        apiserver=next(free),
        controller_manager=next(free),
        function=next(free),
        api=next(free),
        api_peers=(next(free), next(free)),
        bmc=tuple(next(free) for _ in range(servers)),
    )
    return State(boot_id(), servers, image, ports, targets, light)


def read(path: Path) -> State | None:
    """The state of a sandbox that is up, or was since the machine started; None otherwise."""
    try:
        value = json.loads(path.read_text())
        several = {name: tuple(value["ports"][name]) for name in ("bmc", "api_peers")}
        ports = Ports(**{**value["ports"], **several})
        targets = Targets(**value["targets"])
        state = State(value["boot_id"], value["servers"], value["image"], ports, targets, value["light"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return state if state.boot_id == boot_id() else None


def write(path: Path, state: State) -> None:
    """Atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(asdict(state), indent=2))
    scratch.rename(path)


def _free_ports(start: int) -> Iterator[int]:
    for offset in range(len(_PORTS)):
        port = _PORTS[(start + offset) % len(_PORTS)]
        if _is_free(port):
            yield port


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
