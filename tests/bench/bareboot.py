"""The same boot without metalplane: what the firmware, the boot loader and the kernel of the image cost by themselves.

The server by hand gets a clone of the same image, a seed with the same address and a NIC in the same VLAN. The clock
starts as the power is asked for, at the chassis' own socket.
"""

import time

from provider.function.children import BOOT_SLOT, SEED_SLOT
from tests.bench.byhand import DISK_BYTES, Disk, ServerByHand
from tests.bench.firstreply import FirstReply
from tests.bench.provisioning import ADDRESS, BOOT_S


def boot(server: ServerByHand) -> float:
    """Seconds from asking for power to the first reply; the server is off and empty again afterwards."""
    root = Disk(server.clone("root.qcow2", DISK_BYTES), BOOT_SLOT, "qcow2", boot_index=1)
    seed = Disk(server.seed("seed.iso", ADDRESS), SEED_SLOT, writable=False)
    with server.serving(root, seed), FirstReply(server.cloud, ADDRESS) as reply:
        began = time.monotonic()
        with server.powered(root, seed):
            return reply.wait(BOOT_S) - began
