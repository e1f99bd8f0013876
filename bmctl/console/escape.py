"""What the user's keys mean: most go to the machine, those after Ctrl-] are for us. Pure."""

from dataclasses import dataclass, field
from enum import Enum

ESCAPE = 0x1D
"""Ctrl-], as telnet has it."""

HELP = "Ctrl-] then: . leave, Ctrl-] send Ctrl-] itself, b send a serial break, ? show this"


class Command(Enum):
    """Keys after the escape that are for us."""

    LEAVE = "."
    BREAK = "b"
    HELP = "?"


_COMMANDS = {ord(command.value): command for command in Command}


@dataclass(slots=True)
class Keys:
    """Keys as they are typed; an escape whose second key is not there yet is remembered."""

    escaped: bool = field(default=False, init=False)

    def typed(self, data: bytes) -> list[bytes | Command]:
        """Bytes for the machine and commands for us, in order. A key that is no command goes out with its escape."""
        out: list[bytes | Command] = []
        plain = bytearray()
        for key in data:
            if not self.escaped:
                self.escaped = key == ESCAPE
                if not self.escaped:
                    plain.append(key)
                continue
            self.escaped = False
            if key in _COMMANDS:
                out += [bytes(plain), _COMMANDS[key]]
                plain.clear()
            else:
                plain += bytes([key] if key == ESCAPE else [ESCAPE, key])
        out.append(bytes(plain))
        return [each for each in out if each]
