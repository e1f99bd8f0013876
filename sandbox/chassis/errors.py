"""The chassis' errors with their JSON-RPC codes; the tree is drawn in the package's docstring.

Codes below zero are negated errno values, as SPDK answers them; -32602 is JSON-RPC 2.0's own.
"""

import errno
from typing import ClassVar


class ChassisError(Exception):
    """A request that the chassis cannot carry out; code and message go to the caller as they are."""

    code: ClassVar[int] = -errno.EIO


class InvalidRequest(ChassisError):
    """A parameter is missing, unknown, or not of the type it should be."""

    code = -32602


class SlotOccupied(ChassisError):
    """Another function sits in the slot."""

    code = -errno.EEXIST


class SlotEmpty(ChassisError):
    """No function is in the slot, or the slot or representor does not exist."""

    code = -errno.ENODEV


class FunctionBusy(ChassisError):
    """The function is on its way out, its backing is shown in another slot, or the server does not let go of it."""

    code = -errno.EBUSY


class BackendRefused(ChassisError):
    """Nobody accepts connections on the vhost-user socket."""

    code = -errno.ECONNREFUSED


class ReleaseTimeout(ChassisError):
    """The server was asked to release the function and has not done so within the time limit; it is still asked."""

    code = -errno.ETIMEDOUT


class PoweredOff(ChassisError):
    """The request needs a server that has power."""

    code = -errno.EHOSTDOWN


class QemuRefused(ChassisError):
    """QEMU answered with an error or within the time limit not at all."""


class QemuSilent(QemuRefused):
    """QEMU could not be asked, or has not answered: nothing is known of it."""
