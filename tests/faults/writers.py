"""Never two writers: at no moment of a case may two parties be let to one volume.

Told afterwards, from records that miss nothing: the targets' logs have every request before its effect, and the API
server lists what there was at any revision of its store. Real targets keep no log; there the attachments alone tell.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client, config

from sandbox.cloud import Cloud
from tests.faults.fault import DISKS, Fault

Json = dict[str, Any]

_GONE = 410
"""Of a revision that was compacted away, which happens to those of more than five minutes ago."""

_DYING_NS = 50_000_000
"""A target killed at a moment executes nothing after so long; its successor does not run before twice that."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a target was asked."""

    at_ns: int
    method: str
    params: Json


@dataclass
class Exports:
    """The storage node's subsystems, by the requests that it executed: their hosts, and the bdevs they show.

    ``known``: every host that a subsystem let in, the last one last. One that another followed never comes back: it
    would bring the writes that it had queued.
    """

    hosts: dict[str, set[str]] = field(default_factory=dict)
    known: dict[str, list[str]] = field(default_factory=dict)
    bdevs: dict[str, set[str]] = field(default_factory=dict)

    def execute(self, request: Request) -> Iterator[str]:
        """Yields what must not be."""
        nqn, params = request.params.get("nqn", ""), request.params
        match request.method:
            case "nvmf_create_subsystem":
                self.hosts.setdefault(nqn, set())
                self.bdevs.setdefault(nqn, set())
                if params.get("allow_any_host"):
                    yield f"{nqn} lets any host in"
            case "nvmf_delete_subsystem":
                self.hosts.pop(nqn, None)
                self.bdevs.pop(nqn, None)
            case "nvmf_subsystem_add_host" if nqn in self.hosts:
                self.hosts[nqn].add(params["host"])
                if len(self.hosts[nqn]) > 1:
                    yield f"{nqn} lets in {sorted(self.hosts[nqn])}"
                yield from self._let_in_again(nqn, params["host"])
            case "nvmf_subsystem_remove_host":
                self.hosts.get(nqn, set()).discard(params["host"])
            case "nvmf_subsystem_add_ns" if nqn in self.bdevs:
                bdev = params["namespace"]["bdev_name"]
                self.bdevs[nqn].add(bdev)
                showing = sorted(name for name, bdevs in self.bdevs.items() if bdev in bdevs)
                if len(showing) > 1:
                    yield f"{bdev} is shown by {showing}"
            case "nvmf_subsystem_remove_ns":
                self.bdevs.get(nqn, set()).clear()
            case "nvmf_subsystem_allow_any_host" if params.get("allow_any_host"):
                yield f"{nqn} lets any host in"
            case _:
                pass

    def started_anew(self) -> "Exports":
        """What its successor has."""
        return Exports(known=self.known)

    def _let_in_again(self, nqn: str, host: str) -> Iterator[str]:
        known = self.known.setdefault(nqn, [])
        if host in known[:-1]:
            yield f"{nqn} lets {host} in again, after {known[-1]}"
        if host not in known:
            known.append(host)


@dataclass
class Disks:
    """What a DPU attached and shows its server, by the requests that its target executed."""

    controllers: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)

    def started_anew(self) -> "Disks":
        """What its successor has."""
        return Disks()

    def execute(self, request: Request) -> Iterator[str]:
        """Yields what must not be."""
        params = request.params
        match request.method:
            case "bdev_nvme_attach_controller":
                yield from _enter(self.controllers, params["name"], params["subnqn"], "attached")
            case "bdev_nvme_detach_controller":
                self.controllers.pop(params["name"], None)
            case "vhost_create_blk_controller":
                yield from _enter(self.shown, params["ctrlr"], params["dev_name"], "shown")
            case "vhost_delete_controller":
                self.shown.pop(params["ctrlr"], None)
            case _:
                pass


def two_writers(requests: Iterable[Request], restarted_at_ns: int | None, target: type[Exports | Disks]) -> list[str]:
    """What must not be in what a target was asked, which forgets everything when it is started anew."""
    found: list[str] = []
    now: Exports | Disks = target()
    old = True
    for request in requests:
        if old and restarted_at_ns is not None and request.at_ns > restarted_at_ns:
            now, old = now.started_anew(), False
        found += now.execute(request)
    return found


def attached_twice(volumes: Iterable[str]) -> list[str]:
    """Those that more than one VolumeAttachment names."""
    return [f"{count} VolumeAttachments of {volume}" for volume, count in Counter(volumes).items() if count > 1]


class Watch:
    """A cloud from the moment at which this is made. No volume is exported then."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._logs: Mapping[Path, type[Exports | Disks]] = {
            cloud.layout.log / "spdk-storage.requests.jsonl": Exports,
            **dict.fromkeys(cloud.layout.log.glob("spdk-dpu*.requests.jsonl"), Disks),
        }
        self._begun_at = {path: path.stat().st_size if path.exists() else 0 for path in self._logs}
        self._restarts = self._target_restarts()
        self._api = client.StorageV1Api(config.new_client_from_config(str(cloud.layout.kubeconfig)))
        self._revision = self._newest_revision()

    def check(self, fault: Fault, struck_at_ns: int | None) -> None:
        """Fails with every moment at which there were two, or with a target that ended though it was not the victim."""
        killed = fault.victim.removesuffix(DISKS) if fault.kind == "killed" and struck_at_ns is not None else None
        found: list[str] = []
        for path, target in self._logs.items():
            was_killed = killed is not None and path.name.startswith(f"{killed}.")
            restarted_at_ns = struck_at_ns + _DYING_NS if struck_at_ns is not None and was_killed else None
            found += two_writers(self._requests(path), restarted_at_ns, target)
        for revision in range(self._revision, self._newest_revision() + 1):
            found += attached_twice(self._attached(revision))
        for name, restarts in (self._target_restarts() - self._restarts).items():
            if name != killed or restarts > 1:
                found.append(f"{name} ended {restarts} times")
        assert not found, "\n".join(sorted(set(found)))

    def _requests(self, path: Path) -> Iterator[Request]:
        if not path.exists():
            return
        with path.open() as log:
            log.seek(self._begun_at[path])
            for line in log:
                told = json.loads(line)
                if isinstance(params := told["params"] or {}, dict):
                    yield Request(told["at"], told["method"], params)

    def _target_restarts(self) -> Counter[str]:
        reports = self._cloud.supervisor.status()
        return Counter({each["name"]: each["restarts"] for each in reports if each["name"].startswith("spdk-")})

    def _newest_revision(self) -> int:
        listed = self._api.list_volume_attachment().metadata
        assert listed is not None
        assert listed.resource_version is not None
        return int(listed.resource_version)

    def _attached(self, revision: int) -> list[str]:
        """The PersistentVolumes that attachments named at a revision; none where that was too long ago to tell."""
        try:
            found = self._api.list_volume_attachment(resource_version=str(revision), resource_version_match="Exact")
        except client.ApiException as error:
            if error.status == _GONE:
                return []
            raise
        return [volume for each in found.items if (volume := each.spec.source.persistent_volume_name) is not None]


def _enter(held: dict[str, str], name: str, what: str, word: str) -> Iterator[str]:
    held[name] = what
    names = sorted(key for key, value in held.items() if value == what)
    if len(names) > 1:
        yield f"{what} is {word} as {names}"
