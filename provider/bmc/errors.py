"""What a BMC can do to us.

::

    BMCError
    ├── BMCUnreachable            no answer in time; whether a command was carried out is unknown: read the power again
    ├── BMCAuthenticationFailed   user name or password refused
    ├── BMCInsecure               the BMC offers only a session without authentication or encryption
    ├── BMCCommandFailed          the BMC answered and refused (IPMI completion code other than 0)
    │   └── BMCConsoleRefused     it does not open its serial console
    └── BMCConsoleLost            a console that was open is gone: closed by the BMC, taken by another, or silent
"""


class BMCError(Exception):
    """Names the BMC, what was attempted, why it failed and what to do next."""

    next_step = "Look at the BMC's own log."

    def __init__(self, endpoint: str, attempt: str, cause: str) -> None:
        super().__init__(f"{attempt} at BMC {endpoint}: {cause}. {self.next_step}")
        self.endpoint = endpoint
        self.attempt = attempt
        self.cause = cause


class BMCUnreachable(BMCError):
    """No answer in time. A command may or may not have been carried out."""

    next_step = "Check spec.bmc.address and port of the Server, and the network between here and the BMC."


class BMCAuthenticationFailed(BMCError):
    """User name or password refused."""

    next_step = "Check keys username and password of the Secret that spec.bmc.secretRef of the Server names."


class BMCInsecure(BMCError):
    """The BMC agreed only to a session that is not authenticated and encrypted."""

    next_step = "Enable cipher suite 17 or 3 of IPMI 2.0 on the BMC; suite 0 and IPMI 1.5 are never used."


class BMCCommandFailed(BMCError):
    """The BMC answered and refused the command."""


class BMCConsoleRefused(BMCCommandFailed):
    """The BMC does not open its serial console."""

    next_step = "Enable Serial over LAN on the BMC, with encryption, for the user that the Secret names."


class BMCConsoleLost(BMCError):
    """A console that was open is gone. What was written last may or may not have arrived."""

    next_step = "It is opened again."
