"""Representors: persistent taps in the DPU's network namespace, the far end of the server's emulated NICs.

A tap exists whether the server has power or not, so that the DPU can put it into its bridge at any time; its carrier
comes with QEMU. Source: ip-tuntap(8), and the namespace option of ip(8).
"""

import asyncio
from collections.abc import Iterable


class TapError(Exception):
    """A tap could not be made; the message names the tap, the namespace and the cause."""


async def ensure_taps(netns: str, names: Iterable[str]) -> None:
    """Have every tap, up, in the network namespace; existing ones stay as they are."""
    for name in names:
        if not await _ip(netns, "link", "show", "dev", name, required=False):
            await _ip(netns, "tuntap", "add", "dev", name, "mode", "tap")
        # The DPU itself has no address here and must not announce one to the server.
        await _ip(netns, "link", "set", "dev", name, "addrgenmode", "none")
        await _ip(netns, "link", "set", "dev", name, "up")


async def _ip(netns: str, *words: str, required: bool = True) -> bool:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("ip", "-n", netns, *words, stdout=pipe, stderr=pipe)
    _, complaint = await process.communicate()
    if process.returncode != 0 and required:
        cause = complaint.decode().strip() or f"exit status {process.returncode}"
        raise TapError(f"ip -n {netns} {' '.join(words)}: {cause}. Does the network namespace exist? (ip netns)")
    return process.returncode == 0
