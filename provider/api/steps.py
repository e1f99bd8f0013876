"""Names of the steps of a provisioning, in order: listed once, shared by status.timeline and the trace."""

from enum import StrEnum


class Step(StrEnum):
    """A milestone between ``kubectl apply`` and the first answer."""

    SERVER_BOUND = "ServerBound"
    VOLUMES_READY = "VolumesReady"
    NICS_READY = "NICsReady"
    DISKS_READY = "DisksReady"
    POWERED_ON = "PoweredOn"
    ANSWERING = "Answering"
