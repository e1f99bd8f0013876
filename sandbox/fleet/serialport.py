"""The serial port of a light server: what its system prints, and what is written to it."""

from collections.abc import Callable


class SerialPort:
    """Echoes every byte while it has power. Without a ``listener``, what it prints is gone."""

    def __init__(self) -> None:
        self.powered = False
        self.listener: Callable[[bytes], None] | None = None

    def write(self, data: bytes) -> None:
        """From the wire to the system."""
        if self.powered:
            self.print(data)

    def print(self, data: bytes) -> None:
        """From the system to the wire."""
        if self.listener is not None:
            self.listener(data)
