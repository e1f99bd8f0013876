"""The one door to what the DPU drives: SPDK, device emulation, Open vSwitch's database.

Border: the only importer of the native module. It carries requests and gives answers and errors their meaning; it
decides nothing and repeats nothing. After ``ConnectionLost`` or ``DeadlineExceeded`` whose outcome is unknown, the
caller looks again: SPDK executes a request whose client left.
Neighbours: ``connection`` is what all three share; ``spdk``, ``emulation`` and ``ovsdb`` are one peer each; ``errors``
is the tree of what can go wrong.
"""

from dpu_handler.southbound.connection import RequestTracer
from dpu_handler.southbound.emulation import EmulationClient, Function
from dpu_handler.southbound.errors import (
    ConnectionLost,
    DeadlineExceeded,
    Malformed,
    NothingToChange,
    NotInitialised,
    OvsdbOperationFailed,
    RequestTooLarge,
    RpcRefused,
    SouthboundError,
)
from dpu_handler.southbound.ovsdb import OvsdbClient
from dpu_handler.southbound.spdk import SpdkClient

__all__ = [
    "ConnectionLost",
    "DeadlineExceeded",
    "EmulationClient",
    "Function",
    "Malformed",
    "NotInitialised",
    "NothingToChange",
    "OvsdbClient",
    "OvsdbOperationFailed",
    "RequestTooLarge",
    "RequestTracer",
    "RpcRefused",
    "SouthboundError",
    "SpdkClient",
]
