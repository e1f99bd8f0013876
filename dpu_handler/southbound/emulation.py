"""Device emulation: which PCIe functions the server sees. JSON-RPC in SPDK's framing, on the card's own socket."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, fields
from os import PathLike
from typing import Any, Literal

from dpu_handler import _native
from dpu_handler.southbound.connection import RequestTracer, call

Kind = Literal["virtio_blk", "virtio_net"]

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Function:
    """One emulated PCIe function, as ``emulation_function_list`` reports it."""

    slot: int
    kind: Kind
    backing: Mapping[str, str]
    state: Literal["plugged", "unplugging"]
    driver_bound: bool
    mac: str | None = None
    boot_index: int | None = None


class EmulationClient:
    """One persistent connection to the device emulation of one DPU."""

    def __init__(
        self, socket_path: str | PathLike[str], *, tracer: RequestTracer | None = None, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._connection = _native.SpdkConnection(socket_path)
        self._tracer = tracer
        self._timeout_s = timeout_s

    async def function_list(self) -> list[Function]:
        """All functions that are plugged or on their way out."""
        return [_function(entry) for entry in await self._call("emulation_function_list", None, self._timeout_s)]

    async def plug(
        self,
        slot: int,
        kind: Kind,
        backing: Mapping[str, str],
        *,
        mac: str | None = None,
        boot_index: int | None = None,
    ) -> None:
        """Plug a function. The same call again is fine; a different one on a taken slot is refused with -17."""
        params: dict[str, Any] = {"slot": slot, "kind": kind, "backing": dict(backing)}
        if mac is not None:
            params["mac"] = mac
        if boot_index is not None:
            params["boot_index"] = boot_index
        await self._call("emulation_plug", params, self._timeout_s)

    async def unplug(self, slot: int, *, wait_for_done: bool, force: bool = False, timeout_s: float = 30.0) -> None:
        """Take a function away. With ``wait_for_done``, answers once the operating system has let go of it."""
        params = {"slot": slot, "wait_for_done": wait_for_done, "force": force}
        await self._call("emulation_unplug", params, timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, method: str, params: Mapping[str, Any] | None, timeout_s: float) -> Awaitable[Any]:
        return call(self._connection, method, params, system="emulation", timeout_s=timeout_s, tracer=self._tracer)


def _function(entry: Mapping[str, Any]) -> Function:
    values: dict[str, Any] = {each.name: entry[each.name] for each in fields(Function) if each.name in entry}
    return Function(**values)
