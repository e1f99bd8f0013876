"""Puts the controllers together."""

from collections.abc import Mapping, Sequence

from provider.csi.driver import Driver
from provider.csi.machineimage import ImageController
from provider.csi.persistentvolume import VolumeController
from provider.csi.persistentvolumeclaim import ClaimController
from provider.csi.volumeattachment import AttachmentController
from provider.runtime.context import Runtime
from provider.runtime.controller import Controller


def build(runtime: Runtime, drivers: Mapping[str, Driver]) -> Sequence[Controller]:
    """All controllers of this package, over the drivers by name."""
    return [
        ImageController(runtime, drivers),
        ClaimController(runtime, drivers),
        VolumeController(runtime, drivers),
        AttachmentController(runtime, drivers),
    ]
