"""What VolumeAttachments and claims are found by beside their names."""

from collections.abc import Iterable

from provider.api.resources import PERSISTENTVOLUMECLAIM, VOLUMEATTACHMENT
from provider.runtime.cache import Index
from provider.runtime.controller import Json


def _volume(attachment: Json) -> Iterable[str]:
    name = attachment["spec"]["source"].get("persistentVolumeName")
    return [name] if name else []


def _node(attachment: Json) -> Iterable[str]:
    return [attachment["spec"]["nodeName"]]


def _image(claim: Json) -> Iterable[str]:
    name = (claim["spec"].get("dataSourceRef") or {}).get("name")
    return [name] if name else []


ATTACHMENTS_BY_VOLUME = Index(VOLUMEATTACHMENT, _volume)
"""Name of the PersistentVolume."""

ATTACHMENTS_BY_NODE = Index(VOLUMEATTACHMENT, _node)
CLAIMS_BY_IMAGE = Index(PERSISTENTVOLUMECLAIM, _image)
"""Name of the MachineImage, or of whatever else the claim is made from."""
