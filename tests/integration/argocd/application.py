"""The example Application of ``deploy/argocd``, pointed at a repository and a namespace of a test's own."""

from typing import Any

from provider.api.resources import SERVER
from tests.integration.argocd import settings
from tests.integration.argocd.engine import APPLICATION, APPPROJECT, NAMESPACE
from tests.integration.argocd.repository import Repository
from tests.integration.manifests import edited
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]

_REFRESH = "argocd.argoproj.io/refresh"
_WITHIN_S = 60.0


class Application:
    """A folder of git as Argo CD sees it: a tenant's machines, or with ``inventory`` an operator's servers."""

    def __init__(self, rest: Rest, repository: Repository, name: str, namespace: str, *, inventory: bool) -> None:
        self._rest, self._repository, self.name = rest, repository, name
        destination = {"server": "https://kubernetes.default.svc", "namespace": namespace}
        project = {
            "metadata.name": name,
            "spec.sourceRepos": [repository.url],
            "spec.destinations": [destination],
        }
        if inventory:
            project["spec.clusterResourceWhitelist"] = [{"group": SERVER.group, "kind": SERVER.kind}]
        application = {
            "metadata.name": name,
            "spec.project": name,
            "spec.source.repoURL": repository.url,
            "spec.destination": destination,
        }
        rest.create(APPPROJECT, edited(settings.example("project"), project))
        self._object = rest.create(APPLICATION, edited(settings.example("application"), application))

    def delete(self) -> None:
        """Have Argo CD forget it; its machines stay."""
        self._rest.ask("DELETE", APPLICATION.path(NAMESPACE, self.name))
        self._rest.ask("DELETE", APPPROJECT.path(NAMESPACE, self.name))

    def seen(self) -> Json:
        return self._rest.get(APPLICATION, self.name, NAMESPACE)

    def refresh(self) -> Json:
        """Have it compared with the newest commit now; what Argo CD says then."""
        self._annotate(_REFRESH, "normal")
        return eventually(self._remind, lambda seen: not _asked(seen), within_s=_WITHIN_S)

    def _remind(self) -> Json:
        """Argo CD puts what it wrote itself into its cache, over what came meanwhile: a request may be lost on it until
        the object changes again."""
        seen = self.seen()
        if _asked(seen):
            self._annotate("metalplane.io/reminded-at", seen["metadata"]["resourceVersion"])
        return seen

    def _annotate(self, name: str, value: str) -> None:
        self._rest.patch(APPLICATION, self._object, {"metadata": {"annotations": {name: value}}})

    def push(self, **objects: Json | None) -> None:
        """Commit objects by file name (None: the file goes), and return when that commit is synced."""
        revision = self._repository.commit(objects)
        self.refresh()
        self.await_synced(revision)

    def await_synced(self, revision: str | None = None) -> None:
        """Return when cluster and git are the same to Argo CD (with that commit), and it is done with writing."""

        def synced(seen: Json) -> bool:
            sync, operation = seen["status"]["sync"], seen["status"].get("operationState", {})
            if (sync["status"], operation.get("phase")) != ("Synced", "Succeeded"):
                return False
            return revision is None or revision == sync["revision"] == operation["syncResult"]["revision"]

        eventually(self.seen, synced, within_s=_WITHIN_S)

    def health(self) -> dict[str, str]:
        """Health of each object that is in git, by name."""
        resources = self.seen()["status"].get("resources", ())
        return {each["name"]: each.get("health", {}).get("status", "") for each in resources}

    def await_health(self, **objects: str) -> None:
        eventually(self.health, lambda seen: seen == objects, within_s=_WITHIN_S)

    def last_sync(self) -> str:
        """When Argo CD last began to write to the cluster."""
        began: str = self.seen()["status"]["operationState"]["startedAt"]
        return began


def _asked(seen: Json) -> bool:
    return _REFRESH in seen["metadata"].get("annotations", {})
