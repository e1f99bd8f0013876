"""What can go wrong, with its exit code. Caught once, in ``bmctl.__main__``.

::

    BmctlError          1   anything below that has no code of its own
    ├── UsageError      2   the arguments do not make sense (click uses 2 too)
    ├── NotFoundError   3   the object does not exist
    ├── ForbiddenError  4   the API server refused this user
    └── UnreachableError 5  the API server did not answer
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
    """The API server did not answer."""

    exit_code = 5
