"""A pyghmi session that shares nothing with any other.

pyghmi keeps its sockets, its I/O thread and its lists of sessions in globals of one module, serves all sessions from
whichever thread happens to wait, and must therefore be used by one thread at a time: while one BMC is silent, all wait
(4.5 to 5.5 s for each login). Its non-blocking mode does not help, for the last step of a login waits all the same.
So each session is given a copy of that module, which is loaded anew (0.6 ms), and takes it along when it ends: its
thread is stopped and its sockets are closed, which pyghmi never does.
"""

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

from provider.bmc.endpoint import Endpoint

_SESSIONS = "pyghmi.ipmi.private.session"


class IsolatedSession:
    """One login at one BMC. To be used by one thread at a time. The constructor raises pyghmi's own exceptions."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._copy = _load_copy()
        try:
            self.ipmi_session: Any = self._copy.Session(
                bmc=endpoint.address, userid=endpoint.username, password=endpoint.password, port=endpoint.port
            )
        except BaseException:
            self._let_go()
            raise

    def raw_command(self, netfn: int, command: int, data: Sequence[int] = ()) -> dict[str, Any]:
        """One IPMI request and its response, or a dict with ``error``."""
        response: dict[str, Any] = self.ipmi_session.raw_command(netfn=netfn, command=command, data=data)
        return response

    def close(self) -> None:
        """Log out, whether or not the BMC hears it, and leave nothing behind."""
        if not self.ipmi_session.broken:
            with suppress(Exception):
                self.ipmi_session.logout()
        self._let_go()

    def _let_go(self) -> None:
        if self._copy.iothread is not None:
            self._copy.iothread.join()
        for opened in self._copy.iosockets:
            opened.close()


def _load_copy() -> ModuleType:
    spec = find_spec(_SESSIONS)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"There is no module {_SESSIONS}: install metalplane's extra for the provider.")
    copy = module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy
