"""Actions on Kubernetes objects."""

from provider.planning.action import ApplyObject, CreateObject, DeleteObject, ObjectAction, PatchObject
from provider.runtime.client import KubeClient


class ObjectExecutor:
    """Writes as one field manager. The client asks for leadership before each request."""

    def __init__(self, client: KubeClient, field_manager: str) -> None:
        self._client = client
        self._field_manager = field_manager

    async def carry_out(self, action: ObjectAction) -> None:
        """Raises ``KubeError``: ``AlreadyExists`` and ``Conflict`` mean that the plan rests on the past."""
        match action:
            case CreateObject(resource, body):
                await self._client.create(resource, body, field_manager=self._field_manager)
            case ApplyObject(resource, body):
                await self._client.apply(resource, body, field_manager=self._field_manager)
            case PatchObject(resource, namespace, name, resource_version, body):
                await self._client.patch(
                    resource,
                    name,
                    namespace,
                    body,
                    resource_version=resource_version,
                    field_manager=self._field_manager,
                )
            case DeleteObject(resource, namespace, name, uid):
                await self._client.delete(resource, name, namespace, uid=uid)
