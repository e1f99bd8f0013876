"""What the provisioner says of a PVC that it cannot serve.

``provider.csi`` leaves one sentence in an annotation and takes it away once it succeeds: a condition would belong to
Kubernetes, and Events are for humans.
"""

from provider.api.names import ANNOTATION_PROVISIONING_ERROR
from provider.api.reasons import Reason
from provider.planning.volume import Failure
from provider.runtime.controller import Json


def failure(claim: Json | None) -> Failure | None:
    """Why the PVC is not served, if its provisioner said so. The sentence may start with a reason: ``Reason: text``."""
    if claim is None:
        return None
    said: str | None = claim["metadata"].get("annotations", {}).get(ANNOTATION_PROVISIONING_ERROR)
    if not said:
        return None
    word, separator, rest = said.partition(": ")
    if separator and word in Reason._value2member_map_:
        return Failure(Reason(word), rest)
    return Failure(Reason.PROVISIONING_FAILED, said)
