"""What can go wrong in the sandbox.

SandboxError                 what was attempted, on what, the cause, and what to do next
├── MissingTool              the machine lacks something that ``make setup`` installs
├── CommandFailed            a program that the sandbox ran to its end said no
├── CommandOverdue           a program that the sandbox ran did not end in time
├── AnotherShape             the sandbox cannot have, or does not have, the shape that is asked for
├── UnusableTarget           a program that is named as an SPDK target cannot be one
├── ProcessNotReady          a process of the sandbox did not come up in time
└── SupervisorUnavailable    nobody, or somebody else, answers on the supervisor's socket
"""

from collections.abc import Sequence


class SandboxError(Exception):
    """Printed once, at the edge, as one sentence for each part."""

    def __init__(self, attempt: str, *, cause: str, next_step: str) -> None:
        super().__init__(f"{attempt} failed: {cause.strip()}. {next_step}")
        self.attempt = attempt
        self.cause = cause
        self.next_step = next_step


class MissingTool(SandboxError):
    """The machine lacks something that ``make setup`` installs."""


class CommandFailed(SandboxError):
    """A program that the sandbox ran to its end said no."""

    def __init__(self, argv: Sequence[str], status: int, output: str, *, next_step: str = "") -> None:
        super().__init__(" ".join(argv), cause=f"exit status {status}: {output}", next_step=next_step)
        self.output = output


class CommandOverdue(SandboxError):
    """A program that the sandbox ran did not end in time."""

    def __init__(self, argv: Sequence[str], limit_s: float, *, next_step: str = "") -> None:
        super().__init__(" ".join(argv), cause=f"it did not end within {limit_s:g} s", next_step=next_step)


class AnotherShape(SandboxError):
    """The sandbox cannot have, or does not have, the servers, the image or the SPDK targets that are asked for."""


class UnusableTarget(SandboxError):
    """A program that is named as an SPDK target cannot be one."""


class ProcessNotReady(SandboxError):
    """A process of the sandbox did not come up in time."""


class SupervisorUnavailable(SandboxError):
    """Nobody, or somebody else, answers on the supervisor's socket."""
