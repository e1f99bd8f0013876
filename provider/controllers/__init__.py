"""The controllers of the managed resources: thin, one file per kind, over one contract.

``managed`` keeps Crossplane's contract for all of them; a kind only says what to observe and which pure plan to ask
(``provider.planning``), and its actions go through ``provider.execution``. ``agents`` watches over the DPUs' agents.

Border: the only callers of planning and execution; they read the cache, never the function's or the engine's state,
and never write to a BareMetalMachine. Neighbours: ``provider.runtime`` runs them; ``provider.csi`` works behind PVCs
and VolumeAttachments that they make, the DPU's agent behind EmulatedDisks and EmulatedNICs.
"""

from provider.controllers.assembly import build

__all__ = ["build"]
