"""The metal cloud in which a part of the benchmark measures. Whatever happens, it is taken down."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.cloud import Cloud
from tests.bench.progress import say

_LEDGER = "METALPLANE_BOOT_LEDGER"


@contextmanager
def metal_cloud(chosen: Path | None) -> Iterator[tuple[Cloud, Path]]:
    """A cloud that is up, in the directory ``chosen`` or a temporary one, and the file where its boots are noted."""
    with tempfile.TemporaryDirectory(prefix="metalplane-bench-") as temporary:
        ledger = Path(temporary) / "boots"
        os.environ[_LEDGER] = str(ledger)  # the chassis inherits it
        cloud = Cloud(chosen or temporary, progress=say)
        try:
            say("Bringing a metal cloud up")
            cloud.up()
            yield cloud, ledger
        finally:
            cloud.down()
