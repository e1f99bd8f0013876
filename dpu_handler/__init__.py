"""The DPU's side of metalplane: the agent that shows a server its disks and NICs, and the storage node's CSI driver.

Border: of ``provider`` it knows ``api`` and ``runtime`` only. The agent reads one namespace, its DPU's; it decides
nothing about machines, it makes what ``EmulatedDisk`` and ``EmulatedNIC`` ask for and reports what it sees.
Neighbours: ``planning`` (pure) decides steps, ``execution`` carries them out, ``southbound`` is the one door to SPDK,
device emulation and Open vSwitch; ``lvol`` is a process of its own.
"""
