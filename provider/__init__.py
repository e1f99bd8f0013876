"""The control plane of metalplane: it turns a ``BareMetalMachine`` into a server that answers.

Border: it speaks to the Kubernetes API, to CSI drivers and to BMCs. It never speaks to SPDK or Open vSwitch: those are
the DPU's (``dpu_handler``), which learns what to do from the objects in its own namespace.
"""
