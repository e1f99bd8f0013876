"""What can go wrong, with its exit code. Caught once, in ``bmctl.__main__``.

::

    BmctlError            1   anything below that has no code of its own, a refused object (422) among it
    ├── UsageError        2   the arguments do not make sense
    ├── NotFoundError     3   the object does not exist
    ├── ForbiddenError    4   the API server refused this user
    ├── UnreachableError  5   the API server, or the API behind it, did not answer
    ├── TimedOutError     6   what was waited for did not come in time; it may yet come
    └── ConflictError     7   the state of the object, or somebody else's hold on it, forbids it
"""

from typing import ClassVar


class BmctlError(Exception):
    """An error that is shown to the user: what was attempted, on what, why it failed, and what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, attempt: str, cause: str, next_step: str = "") -> None:
        super().__init__(f"{attempt}: {cause}")
        self.attempt = attempt
        self.cause = cause
        self.next_step = next_step


class UsageError(BmctlError):
    """The arguments do not make sense."""

    exit_code = 2


class NotFoundError(BmctlError):
    """The object does not exist."""

    exit_code = 3


class ForbiddenError(BmctlError):
    """The API server refused this user."""

    exit_code = 4


class UnreachableError(BmctlError):
    """The API server, or the API behind it, did not answer."""

    exit_code = 5


class TimedOutError(BmctlError):
    """What was waited for did not come in time."""

    exit_code = 6


class ConflictError(BmctlError):
    """The state of the object, or somebody else's hold on it, forbids it."""

    exit_code = 7


EXIT_CODES = (
    (0, "done"),
    (BmctlError.exit_code, "failed"),
    (UsageError.exit_code, "wrong usage"),
    (NotFoundError.exit_code, "no such object"),
    (ForbiddenError.exit_code, "not allowed"),
    (UnreachableError.exit_code, "the API server did not answer"),
    (TimedOutError.exit_code, "not in time"),
    (ConflictError.exit_code, "the object's state forbids it"),
    (130, "interrupted; what was asked for goes on"),
)
"""What each exit code means, as help and documentation tell it."""
