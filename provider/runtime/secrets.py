"""The one place that reads Secrets. Which namespace is allowed is the caller's rule: the referrer's own, always."""

import base64

from provider.api.resources import SECRET
from provider.runtime.client import KubeClient


async def read_secret(client: KubeClient, name: str, namespace: str) -> dict[str, bytes]:
    """The decoded ``data`` of a Secret. Raises ``NotFound``. Never cached: a rotated password counts at once."""
    secret = await client.get(SECRET, name, namespace)
    return {key: base64.b64decode(value) for key, value in secret.get("data", {}).items()}
