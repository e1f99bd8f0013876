"""The provider and the function as processes beside a real API server, and what a test asks of the objects there.

No storage and no DPU is behind it: volumes stay unbound, and devices are reported by whoever plays the agent.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provider.api.conditions import READY
from provider.api.names import ANNOTATION_RESOURCE_NAME, INSTALLATION_NAMESPACE
from provider.api.resources import BAREMETALMACHINE, ResourceType
from provider.composition.children import CHILD_KINDS
from sandbox import inventory, pki, processes, state
from sandbox.apiserver import ApiServer
from sandbox.images import Image
from sandbox.process import ProcessSpec
from tests.integration.rest import Rest
from tests.integration.waiting import eventually

Json = dict[str, Any]

IMAGE = Image("tiny", "0" * 64, 1 << 20, Path("/nonexistent"))
PROVIDER = "provider"


class Installation:
    """One provider that leads, and one function that it calls with certificates."""

    def __init__(self, apiserver: ApiServer, rest: Rest) -> None:
        self._apiserver = apiserver
        self.rest = rest
        chosen = state.read(apiserver.layout.state)
        assert chosen is not None
        self._ports = chosen.ports

    def start(self) -> None:
        """Return when the provider holds its Lease."""
        self._apiserver.kubectl.apply(inventory.objects(IMAGE, []))
        self._apiserver.supervisor.start(
            [processes.function(self._ports, self._certificates("server")), self._provider()]
        )
        lease = ("lease/metalplane-provider", f"--namespace={INSTALLATION_NAMESPACE}", "--timeout=60s")
        self._apiserver.kubectl.run("wait", "--for=create", *lease)
        self._apiserver.kubectl.run("wait", "--for=jsonpath={.spec.holderIdentity}=provider", *lease)

    def stop(self) -> None:
        self._apiserver.supervisor.stop([PROVIDER, "function"])

    def machine(self, namespace: str, name: str) -> Json:
        return self.rest.get(BAREMETALMACHINE, name, namespace)

    def children(self, machine: Json) -> dict[str, Json]:
        """The machine's children by resource name."""
        uid = machine["metadata"]["uid"]
        found = [child for kind in CHILD_KINDS for child in self.rest.all_of(kind, machine["metadata"]["namespace"])]
        return {
            child["metadata"]["annotations"][ANNOTATION_RESOURCE_NAME]: child
            for child in found
            if any(owner["uid"] == uid for owner in child["metadata"].get("ownerReferences", ()))
        }

    def await_condition(
        self, resource: ResourceType, obj: Json, type_: str, reason: str, *, within_s: float = 30.0
    ) -> Json:
        """The condition, once it has that reason for the object's present generation."""
        metadata = obj["metadata"]

        def look() -> Json:
            seen = self.rest.get(resource, metadata["name"], metadata.get("namespace"))
            return condition(seen, type_) | {"generation": seen["metadata"]["generation"]}

        def holds(seen: Json) -> bool:
            return seen.get("reason") == reason and seen.get("observedGeneration") == seen["generation"]

        return eventually(look, holds, within_s=within_s)

    def _provider(self) -> ProcessSpec:
        kubeconfig = self._apiserver.control_plane.identity(
            self._apiserver.layout.files / "provider.kubeconfig", inventory.PROVIDER_USER
        )
        options = {
            "kubeconfig": kubeconfig,
            "namespace": INSTALLATION_NAMESPACE,
            "identity": "provider",
            "function": f"{processes.FUNCTION}=127.0.0.1:{self._ports.function}",
            "function-tls-dir": self._certificates("client"),
        }
        flags = (f"--{name}={value}" for name, value in options.items())
        return ProcessSpec(PROVIDER, (sys.executable, "-m", "provider", *flags))

    def _certificates(self, side: str) -> Path:
        authority = pki.Authority(self._apiserver.layout.pki / "function", "metalplane-function")
        if side == "server":
            credential = authority.server("server", names=("127.0.0.1",))
        else:
            credential = authority.client("client", common_name="engine")
        directory = self._apiserver.layout.pki / f"function-{side}"
        directory.mkdir(exist_ok=True)
        for name, source in (("tls.crt", credential.certificate), ("tls.key", credential.key)):
            shutil.copy(source, directory / name)
        shutil.copy(authority.certificate, directory / "ca.crt")
        return directory


def condition(obj: Json, type_: str = READY) -> Json:
    """The condition of that type; empty while nobody has said anything."""
    conditions: list[Json] = obj.get("status", {}).get("conditions", [])
    return next((dict(entry) for entry in conditions if entry["type"] == type_), {})


def versions(objects: Mapping[str, Json]) -> dict[str, str]:
    """By name, what changes with every write of an object."""
    return {name: obj["metadata"]["resourceVersion"] for name, obj in objects.items()}


def settled(objects: Mapping[str, Json]) -> bool:
    """Whether each object's controller has said something about its present generation."""
    return all(
        obj.get("status", {}).get("observedGeneration") == obj["metadata"]["generation"] for obj in objects.values()
    )


def renamed(objects: list[Json], names: Mapping[str, str]) -> list[Json]:
    """Copies of objects in which one name stands for another everywhere."""
    text = json.dumps(objects)
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    copies: list[Json] = json.loads(text)
    return copies
