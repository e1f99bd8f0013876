"""Network namespaces of a sandbox, and the cables between them.

Each DPU has one; the tenant's client sits in another. A cable is a veth pair whose DPU end is a port of that DPU's Open
vSwitch. Transmit checksum offload is off at the tenant's end: with the userspace datapath, ping would work and TCP
never connect. A namespace takes the taps and cables in it along when it goes.
"""

import subprocess
from pathlib import Path

from sandbox.errors import CommandFailed, MissingTool

NAMESPACES = Path("/run/netns")


def ensure_namespace(name: str) -> None:
    """Have a network namespace with loopback up."""
    if not (NAMESPACES / name).exists():
        run("ip", "netns", "add", name)
    run("ip", "-netns", name, "link", "set", "lo", "up")


def ensure_cable(namespace: str, device: str, peer_namespace: str, peer: str) -> None:
    """Have a veth pair with one end in each namespace, both up."""
    if not has_device(namespace, device):
        run("ip", "-netns", namespace, "link", "add", device, "type", "veth", "peer", peer, "netns", peer_namespace)
    run("ip", "-netns", namespace, "link", "set", device, "up")
    run("ip", "-netns", peer_namespace, "link", "set", peer, "up")


def ensure_address(namespace: str, device: str, address: str) -> None:
    """Have an address on a cable's end, with transmit checksums computed here."""
    run("ip", "-netns", namespace, "address", "replace", address, "dev", device)
    run("ip", "netns", "exec", namespace, "ethtool", "--offload", device, "tx", "off")


def has_device(namespace: str, device: str) -> bool:
    argv = ["ip", "-netns", namespace, "link", "show", "dev", device]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def remove_namespaces(prefix: str) -> None:
    """Remove every namespace whose name begins so."""
    for path in NAMESPACES.glob(f"{prefix}*"):
        run("ip", "netns", "delete", path.name)


def run(*argv: str) -> str:
    """Run a tool of iproute2, ethtool or Open vSwitch to its end."""
    try:
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise MissingTool(f"Running {argv[0]}", cause=str(error), next_step="Run `make setup`.") from error
    if result.returncode:
        raise CommandFailed(argv, result.returncode, result.stderr, next_step="The sandbox needs root.")
    return result.stdout
