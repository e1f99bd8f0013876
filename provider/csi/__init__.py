"""What CSI's sidecars do elsewhere, for the drivers named on the command line: provision, resize, attach, delete.

Border: it watches PVCs, PVs and VolumeAttachments of those drivers alone, and the MachineImages that they cloned, and
calls their controller service. The real kube-controller-manager binds. It never looks into a driver, so any unmodified
CSI driver will do.
Neighbours: ``planning`` decides (pure), ``driver`` calls one driver over gRPC; ``persistentvolumeclaim``,
``persistentvolume``, ``volumeattachment`` and ``machineimage`` are the controllers, one noun each; ``imagesnapshots``
says which of an image's contents a driver has a snapshot of; ``orphans`` looks for what no object names.
"""

from provider.csi import orphans
from provider.csi.assembly import build

__all__ = ["build", "orphans"]
