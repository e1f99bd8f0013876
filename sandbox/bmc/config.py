"""ipmi_sim's configuration from a BMC's settings. Pure.

Source: ipmi_lan(5) for the network side, ipmi_sim_cmd(5) for the management controller behind it. Limits of user names
(16 bytes) and passwords (20 bytes): IPMI 2.0, tables 22-28 (Set User Name) and 22-30 (Set User Password).
"""

import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path

from sandbox.bmc import BmcError

_USER_NAME_BYTES = 16
_PASSWORD_BYTES = 20
_BAUD = 115200
# The BMC's own address on the IPMB, the same on every board (IPMI 2.0, section 5.4).
_BMC_ADDRESS = "0x20"
# Device support 0x9f: chassis, FRU inventory, event log, SDR repository, sensors (IPMI 2.0, table 20-2); manufacturer
# 0: this board is nobody's product.
_DEVICE = "0 no-device-sdrs 0 1 0 0x9f 0 0"
# Entries, and what Get SEL Info says of it: reserve and get-allocation-information commands work.
_EVENT_LOG = "1000 0x0a"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the BMC listens, who may use it, and what its wires lead to."""

    address: str
    port: int
    user_name: str
    password: str
    control_socket: Path
    sol_port: int


def lan_configuration(settings: Settings, control_program: Path) -> str:
    """The file for ``ipmi_sim -c``; it holds the password."""
    _check_text("user name", settings.user_name, _USER_NAME_BYTES)
    _check_text("password", settings.password, _PASSWORD_BYTES)
    # Stable for the server's life: clients tell boards apart by it (IPMI 2.0, section 20.8, Get System GUID).
    guid = uuid.uuid5(uuid.NAMESPACE_OID, str(settings.control_socket)).hex
    control = shlex.join(["/bin/sh", str(control_program), str(settings.control_socket)])
    lines = [
        'name "bmc"',
        f"set_working_mc {_BMC_ADDRESS}",
        "startlan 1",
        f"  addr {settings.address} {settings.port}",
        "  priv_limit admin",
        "  allowed_auths_admin md5",
        f"  guid {guid}",
        "endlan",
        f'chassis_control "{control}"',
        f'sol "tcp:127.0.0.1:{settings.sol_port}" {_BAUD}',
        f'user 2 true "{settings.user_name}" "{settings.password}" admin 10 md5',
    ]
    return "\n".join(lines) + "\n"


def controller_commands() -> str:
    """The file for ``ipmi_sim -f``: one management controller with an event log, no sensors."""
    lines = [
        f"mc_setbmc {_BMC_ADDRESS}",
        f"mc_add {_BMC_ADDRESS} {_DEVICE}",
        f"sel_enable {_BMC_ADDRESS} {_EVENT_LOG}",
        f"mc_enable {_BMC_ADDRESS}",
    ]
    return "\n".join(lines) + "\n"


def _check_text(what: str, text: str, limit_bytes: int) -> None:
    """Refuse what the file format or IPMI cannot carry; the message never holds the text, which may be a password."""
    if not 1 <= len(text.encode()) <= limit_bytes:
        cause = f"it has {len(text.encode())} bytes"
        raise BmcError("reading", f"the BMC's {what}", cause, f"Use 1 to {limit_bytes} bytes, as IPMI allows")
    if any(character in '"\\' or not character.isprintable() for character in text):
        cause = "it has a quotation mark, a backslash or a control character"
        raise BmcError("reading", f"the BMC's {what}", cause, "Choose another one")
