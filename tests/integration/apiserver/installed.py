"""bm-api behind a real API server: two replicas, registered as an installation registers them.

No controller runs: what a verb wrote stays as it was written.
"""

from typing import Any
from uuid import uuid4

from provider.api import API_VERSION
from provider.api.names import LABEL_DISK, LABEL_MACHINE_UID, LABEL_NIC
from provider.api.resources import BAREMETALMACHINE, POWERSTATE, VIRTUALDISK, VIRTUALNIC, ResourceType
from provider.api.subresources import API_SERVICE, MACHINE
from sandbox import inventory, state
from sandbox.aggregation import AggregatedApi
from sandbox.apiserver import ApiServer
from tests.integration.installation import IMAGE
from tests.integration.manifests import MACHINE_SPEC, manifest
from tests.integration.rest import Answer, Rest

Json = dict[str, Any]

REAUTHORISE_AFTER_S = 4.0


class InstalledApi:
    """The replicas, and machines as an engine would have left them."""

    def __init__(self, apiserver: ApiServer, rest: Rest) -> None:
        self.apiserver = apiserver
        self.rest = rest
        chosen = state.read(apiserver.layout.state)
        assert chosen is not None
        self.ports = chosen.ports
        self._api = AggregatedApi(apiserver.layout, apiserver.control_plane, chosen.ports)
        self.replicas = self._api.replicas(trace_dir=apiserver.layout.trace, reauthorise_after=REAUTHORISE_AFTER_S)

    def start(self) -> None:
        """Return when the API server passes requests on."""
        self.apiserver.kubectl.apply(inventory.objects(IMAGE, []))
        self.apiserver.supervisor.start(self.replicas)
        self._api.register(self.apiserver.kubectl)

    def stop(self) -> None:
        """Nothing stays registered: it would hold up the deletion of every namespace."""
        self.apiserver.kubectl.run("delete", "apiservice", API_SERVICE, "--ignore-not-found")
        self.apiserver.supervisor.stop([spec.name for spec in self.replicas])

    def machine(self, namespace: str, *, name: str = "", power: str | None = "On", **spec: Any) -> Json:
        """A machine with a PowerState that was last seen in state ``power``, and the objects of its devices."""
        name = name or f"bm-{uuid4().hex[:6]}"
        made = self.rest.create(BAREMETALMACHINE, manifest(BAREMETALMACHINE, name, namespace, {**MACHINE_SPEC, **spec}))
        if power is not None:
            child = self.child(POWERSTATE, made, "power", {"serverClaimRef": {"name": "claim"}})
            self.rest.patch(POWERSTATE, child, {"status": {"atProvider": {"state": power}}}, subresource="status")
        for disk in made["spec"]["disks"]:
            wanted = {"serverClaimRef": {"name": "claim"}, "volumeRef": {"name": disk["name"]}, "slot": 3}
            self.child(VIRTUALDISK, made, f"disk-{disk['name']}", wanted, {LABEL_DISK: disk["name"]})
        for index, nic in enumerate(made["spec"]["networkInterfaces"]):
            wanted = {"serverClaimRef": {"name": "claim"}, "network": nic["network"], "index": index}
            self.child(VIRTUALNIC, made, f"nic-{nic['name']}", wanted, {LABEL_NIC: nic["name"]})
        return made

    def child(
        self, resource: ResourceType, machine: Json, name: str, wanted: Json, labels: dict[str, str] | None = None
    ) -> Json:
        """A child of the machine."""
        metadata = machine["metadata"]
        owner = {
            "apiVersion": API_VERSION,
            "kind": machine["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        return self.rest.create(
            resource,
            manifest(
                resource,
                f"{metadata['name']}-{name}",
                metadata["namespace"],
                {"forProvider": wanted},
                labels={LABEL_MACHINE_UID: metadata["uid"], **(labels or {})},
                ownerReferences=[owner],
            ),
        )

    def now(self, machine: Json) -> Json:
        """The machine as it is by now."""
        return self.rest.get(BAREMETALMACHINE, machine["metadata"]["name"], machine["metadata"]["namespace"])

    def request(self, machine: Json) -> Json | None:
        """The power request that is recorded for it."""
        name, namespace = f"{machine['metadata']['name']}-power", machine["metadata"]["namespace"]
        wanted: Json = self.rest.get(POWERSTATE, name, namespace)["spec"]["forProvider"]
        return wanted.get("request")

    def post(self, who: Rest, machine: Json, verb: str, options: Json | None = None, query: str = "") -> Answer:
        """What a verb answers to ``who``."""
        metadata = machine["metadata"]
        return who.ask("POST", MACHINE.path(metadata["namespace"], metadata["name"], verb) + query, options or {})
