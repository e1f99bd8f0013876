"""The boot ledger: a file to which each boot of any server adds one line.

A test suite uses it to say how often servers were booted in all, across state directories.
"""

import os
import time
from pathlib import Path


class BootLedger:
    """Notes boots in the file at path; without a path, nowhere."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def note(self, server: str, cause: str) -> None:
        """Add ``<unix seconds> <server> <cause>`` in one write, so that many servers can share the file."""
        if self._path is None:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"{time.time():.3f} {server} {cause}\n".encode())
        finally:
            os.close(descriptor)
