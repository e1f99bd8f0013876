"""A server's baseboard management controller that speaks real IPMI 2.0 (RMCP+) on UDP.

Purpose: let ``ipmitool -I lanplus -C 3`` (and any other IPMI client) switch a simulated server's power, choose its boot
device and use its serial console, and refuse whoever has not the password.

Border: the protocol is Debian's ``ipmi_sim`` (package openipmi), configured here; the chassis' ``control.sock`` and
``console.sock`` are the wires into the server. The password comes from a file and is written to a file that only its
owner can read; it is on no command line.

Neighbours: the provider's BMC client on one side, ``sandbox.chassis`` on the other.

Cipher suites: clients use 3 (ipmi_sim refuses 17). Suite 0, which asks for no password, is refused by ``gate``, for
ipmi_sim cannot be told to.

    BmcError        what was attempted, on what, why it failed, what to do next
"""


class BmcError(Exception):
    """The BMC cannot run. The message names the attempt, its subject, the cause and the next step."""

    def __init__(self, attempt: str, subject: str, cause: str, next_step: str) -> None:
        super().__init__(f"{attempt} {subject} failed: {cause}. {next_step}")
