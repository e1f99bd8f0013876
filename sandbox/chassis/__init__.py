"""A server's chassis: the card cage, power supply and cables around one simulated server (a QEMU machine).

Purpose: serve *device emulation* to the DPU that sits in the server (which PCIe functions the server sees, in which
slot, backed by what) and *power* to its BMC, and drive QEMU so that both come true: firmware -> boot loader on the
emulated disk -> kernel, never a kernel handed in from outside.

Border: two Unix sockets with JSON-RPC in SPDK's framing (``emulation.sock``, ``control.sock``) and the server's serial
console (``console.sock``). Only this package speaks to QEMU. It knows vhost-user sockets and taps, nothing of SPDK,
Open vSwitch, volumes or Kubernetes.

What lasts: slots, power, boot count are written before they take effect, and QEMU outlives a killed chassis and is
found again, as a server keeps its power when its management restarts. SIGTERM takes the whole server away, power first.

Neighbours: the DPU agent plugs and unplugs; ``sandbox.bmc`` switches power; ``sandbox up`` starts one per server.

    ChassisError (code, message)        what a caller of the sockets is told
    ├── InvalidRequest      -32602      a parameter is missing, unknown or of the wrong type
    ├── SlotOccupied           -17      another function sits in the slot
    ├── SlotEmpty              -19      there is no function in the slot, or no such slot or representor
    ├── FunctionBusy           -16      the function is being unplugged, shown elsewhere, or the server holds on to it
    ├── BackendRefused        -111      nobody accepts on the vhost-user socket
    ├── ReleaseTimeout        -110      the server has not let go of the function yet
    ├── PoweredOff            -112      the server is off
    └── QemuRefused             -5      QEMU answered with an error, or not at all
"""
