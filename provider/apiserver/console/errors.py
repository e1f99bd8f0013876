"""Why there is no console.

::

    ConsoleError (MetalplaneError)   ``status`` is the HTTP code to answer with before the upgrade
    ├── WriterPresent                409: somebody else writes; take over or watch
    ├── ConsoleEnded                 409: the server is held by another claim by now
    ├── TooManyConsoles              429: this replica serves as many as it may
    ├── ConsoleUnavailable           503: no replica has it just now, or the one that has does not answer
    ├── NotOwner                     421: asked by a peer, which looks again
    └── PeerRefused                  401: whoever asked is no peer

That a server is off is none of these: its history is shown, and the console waits.
"""

from provider.runtime.errors import MetalplaneError


class ConsoleError(MetalplaneError):
    """There is no console for this request."""

    status = 500


class WriterPresent(ConsoleError):
    """A console has one writer. ``writer``: who that is."""

    status = 409

    def __init__(self, server: str, writer: str) -> None:
        super().__init__(
            "write to the console of",
            subject=f"server {server}",
            cause=f"{writer} writes to it",
            next_step="take it over (takeover=true), or watch (watch=true)",
        )
        self.writer = writer


class ConsoleEnded(ConsoleError):
    """The claim that the console was asked for holds the server no more."""

    status = 409

    def __init__(self, server: str) -> None:
        super().__init__(
            "open the console of",
            subject=f"server {server}",
            cause="it changes hands just now",
            next_step="read the machine again, and ask again",
        )


class TooManyConsoles(ConsoleError):
    """This replica serves as many as it may."""

    status = 429

    def __init__(self, server: str) -> None:
        super().__init__(
            "open the console of",
            subject=f"server {server}",
            cause="as many consoles are open as this replica may serve",
            next_step="close one, or try again later",
        )


class ConsoleUnavailable(ConsoleError):
    """No replica has it just now, or the one that has it does not answer."""

    status = 503

    def __init__(self, server: str, cause: str) -> None:
        super().__init__(
            "open the console of",
            subject=f"server {server}",
            cause=cause,
            next_step="try again: another replica takes it over within 20 seconds",
        )


class NotOwner(ConsoleError):
    """A peer asked for a console that is not here."""

    status = 421

    def __init__(self, server: str) -> None:
        super().__init__("show a peer the console of", subject=f"server {server}", cause="another replica has it")


class PeerRefused(ConsoleError):
    """Whoever asked does not know the secret of the replicas."""

    status = 401

    def __init__(self) -> None:
        super().__init__("show a peer", subject="a console", cause="it did not show the secret of the replicas")
