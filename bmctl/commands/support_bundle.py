"""``bmctl support-bundle``: what somebody needs who helps from afar."""

from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bmctl.arguments import Parser, connect
from bmctl.errors import BmctlError, ForbiddenError, NotFoundError
from bmctl.output import remark

Json = dict[str, Any]

DESCRIPTION = """\
Pack objects with their conditions, events and versions into a tar.gz. Secrets are never read; SSH keys, user data and
last-applied annotations are taken out, and so are the addresses of BMCs and storage unless --include-infrastructure is
given. What this user may not read is left out and listed in the bundle."""
EXAMPLES = (
    "bmctl support-bundle -n tenant-a",
    "bmctl support-bundle -A --include-infrastructure --file bundle.tar.gz",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="objects of all namespaces")
    parser.add_argument("--include-infrastructure", action="store_true", help="keep addresses of BMCs and storage")
    parser.add_argument(
        "-f", "--file", type=Path, metavar="FILE", help="file to write (default: bmctl-support-TIME.tar.gz)"
    )


def run(args: Namespace) -> None:
    """Do it."""
    cluster = connect(args)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    file = args.file or Path(f"bmctl-support-{stamp}.tar.gz")
    namespace = None if args.all_namespaces else cluster.namespace
    found, left_out = _collect(cluster, namespace)
    versions = _versions(cluster, left_out)
    members = pack(found, left_out, versions, infrastructure=args.include_infrastructure)
    _write(file, f"bmctl-support-{stamp}", members)
    print(f"{file}: {sum(map(len, found.values()))} objects of {len(found)} kinds")
    for line in left_out:
        remark(f"left out: {line}")


def _kinds() -> list[Any]:
    from provider.api import resources as api

    return [
        api.BAREMETALMACHINE,
        api.SERVERCLAIM,
        api.VOLUME,
        api.VIRTUALDISK,
        api.VIRTUALNIC,
        api.POWERSTATE,
        api.SERVER,
        api.INSTANCETYPE,
        api.NETWORK,
        api.MACHINEIMAGE,
        api.CLUSTERPROVIDERCONFIG,
        api.EMULATEDDISK,
        api.EMULATEDNIC,
        api.ORPHANREPORT,
        api.PERSISTENTVOLUMECLAIM,
        api.PERSISTENTVOLUME,
        api.STORAGECLASS,
        api.VOLUMEATTACHMENT,
        api.CSIDRIVER,
        api.CSINODE,
        api.NODE,
        api.LEASE,
        api.EVENT,
    ]


def _collect(cluster: Any, namespace: str | None) -> tuple[dict[str, list[Json]], list[str]]:
    """Objects by plural, and what could not be read and why."""
    from provider.api.resources import EMULATEDDISK, EMULATEDNIC, LEASE

    found: dict[str, list[Json]] = {}
    left_out: list[str] = []
    for resource in _kinds():
        # A machine's devices and their agents are in the namespaces of DPUs.
        everywhere = resource in (EMULATEDDISK, EMULATEDNIC, LEASE)
        try:
            objects = cluster.list(resource, None if everywhere else namespace)
        except (ForbiddenError, NotFoundError) as error:
            left_out.append(f"{resource.plural}: {error.cause}")
            continue
        found[resource.plural] = objects
    if namespace is not None:
        for plural in (EMULATEDDISK.plural, EMULATEDNIC.plural):
            found[plural] = [obj for obj in found.get(plural, ()) if _is_of(obj, namespace)]
    return found, left_out


def _is_of(obj: Json, namespace: str) -> bool:
    """A bundle of one tenant has no devices of another."""
    return bool(obj["spec"].get("machineRef", {}).get("namespace") == namespace)


def _versions(cluster: Any, left_out: list[str]) -> Json:
    from bmctl.commands.version import of_cluster, ours

    try:
        return {"client": ours(), **of_cluster(cluster)}
    except BmctlError as error:
        left_out.append(f"versions: {error.cause}")
        return {"client": ours()}


def pack(found: dict[str, list[Json]], left_out: list[str], versions: Json, *, infrastructure: bool) -> dict[str, str]:
    """The bundle's files by name, redacted."""
    import json

    from bmctl import redaction
    from bmctl.commands.describe import render
    from bmctl.tree import children

    hidden = frozenset[str]() if infrastructure else redaction.addresses(found.get("servers", ()))
    cleaned = {
        plural: [redaction.clean(obj, hidden, infrastructure=infrastructure) for obj in objects]
        for plural, objects in found.items()
    }
    files = {f"objects/{plural}.json": json.dumps(objects, indent=1) for plural, objects in cleaned.items()}
    files["versions.json"] = json.dumps(versions, indent=1)
    files["left-out.txt"] = redaction.text("".join(f"{line}\n" for line in left_out), hidden)
    parts = [obj for plural in _PARTS for obj in cleaned.get(plural, ())]
    for machine in cleaned.get("baremetalmachines", ()):
        metadata = machine["metadata"]
        lines = render(machine, children(metadata["uid"], parts))
        files[f"machines/{metadata['namespace']}/{metadata['name']}.txt"] = "\n".join(lines) + "\n"
    return files


_PARTS = ("serverclaims", "volumes", "virtualnics", "virtualdisks", "powerstates")


def _write(file: Path, directory: str, members: dict[str, str]) -> None:
    """Whole or not at all, and readable to nobody else."""
    import io
    import os
    import tarfile
    import time

    part = file.with_name(f".{file.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, content in members.items():
                data = content.encode()
                entry = tarfile.TarInfo(f"{directory}/{name}")
                entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(data))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
