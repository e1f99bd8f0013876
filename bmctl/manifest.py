"""A machine from options: the object that they mean, or why they mean none. Pure.

What is checked here is what the API server would refuse too; it is said sooner, in the words of the options, and before
anything is made.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bmctl.errors import UsageError
from provider.api import API_VERSION
from provider.api.quantity import parse_bytes

Json = dict[str, Any]

RUN_STRATEGIES = ("Always", "Manual", "Halted")
USER_DATA_KEY = "userData"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_MAC = re.compile(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}")
_SSH_KEY = re.compile(r"(ssh-|ecdsa-sha2-|sk-)[-@.a-z0-9]+ [A-Za-z0-9+/]+=*( .*)?")
_MOST_DISKS, _MOST_NICS = 16, 8
_MOST_USER_DATA_BYTES = 512 * 1024
_DISK_FIELDS = ("name", "size", "image", "storageClass", "keep")
_NIC_FIELDS = ("name", "network", "address", "mac")
_USER_DATA_STARTS = ("#cloud-config", "#!", "#include", "#cloud-boothook", "## template:", "Content-Type:", "MIME-")
"""How user data says what it is (cloud-init's documentation, "User data formats")."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options said."""

    name: str
    namespace: str | None
    image: str
    size: str
    instance_type: str | None = None
    server_selector: str | None = None
    storage_class: str | None = None
    disks: Sequence[str] = ()
    nics: Sequence[str] = ()
    ssh_keys: Sequence[str] = ()
    user_data_secret: str | None = None
    run_strategy: str | None = None
    labels: Sequence[str] = field(default_factory=list)


def machine(wanted: Wanted) -> Json:
    """The BareMetalMachine. Raises ``UsageError``."""
    metadata: Json = {"name": _name("NAME", wanted.name, _OBJECT)}
    if wanted.namespace:
        metadata["namespace"] = wanted.namespace
    if wanted.labels:
        metadata["labels"] = pairs("--label", ",".join(wanted.labels))
    spec: Json = {}
    if wanted.run_strategy:
        spec["runStrategy"] = wanted.run_strategy
    spec |= _placement(wanted)
    spec["disks"] = _disks(wanted)
    if nics := [_nic(text, position) for position, text in enumerate(wanted.nics)]:
        spec["networkInterfaces"] = _distinct("--nic", nics, _MOST_NICS)
    cloud_init: Json = {}
    if wanted.ssh_keys:
        cloud_init["sshAuthorizedKeys"] = list(wanted.ssh_keys)
    if wanted.user_data_secret:
        cloud_init["userDataSecretRef"] = {"name": wanted.user_data_secret}
    if cloud_init:
        spec["cloudInit"] = cloud_init
    return {"apiVersion": API_VERSION, "kind": "BareMetalMachine", "metadata": metadata, "spec": spec}


def user_data_secret(name: str, namespace: str | None, text: str, owner: Json | None = None) -> Json:
    """The Secret of a machine's user data; with its ``owner`` known, it goes when the machine goes."""
    metadata: Json = {"name": name} | ({"namespace": namespace} if namespace else {})
    if owner is not None:
        keys = ("apiVersion", "kind")
        reference = {key: owner[key] for key in keys} | {key: owner["metadata"][key] for key in ("name", "uid")}
        metadata["ownerReferences"] = [reference]
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {USER_DATA_KEY: text}}


def _placement(wanted: Wanted) -> Json:
    if bool(wanted.instance_type) == bool(wanted.server_selector):
        raise _wrong("give either --instance-type or --server-selector", "`kubectl get instancetypes` lists the types.")
    if wanted.instance_type:
        return {"instanceType": _name("--instance-type", wanted.instance_type, _OBJECT)}
    return {"serverSelector": {"matchLabels": pairs("--server-selector", wanted.server_selector or "")}}


def _disks(wanted: Wanted) -> list[Json]:
    root: Json = {
        "name": "root",
        "boot": True,
        "image": _name("--image", wanted.image, _OBJECT),
        "size": size("--size", wanted.size),
    }
    if wanted.storage_class:
        root["storageClass"] = wanted.storage_class
    return _distinct("--disk", [root, *map(_disk, wanted.disks)], _MOST_DISKS)


def _disk(text: str) -> Json:
    given = _fields("--disk", text, _DISK_FIELDS, "name=data,size=100Gi")
    for required in ("name", "size"):
        if required not in given:
            raise _wrong(f"--disk {text} has no {required}", "Write one such as --disk name=data,size=100Gi.")
    disk: Json = {"name": _name("--disk", given["name"], _LABEL), "size": size("--disk", given["size"])}
    disk |= {key: given[key] for key in ("image", "storageClass") if key in given}
    if "keep" in given:
        if given["keep"] not in ("true", "false"):
            raise _wrong(f"--disk {text}: keep is neither true nor false", "Write keep=true or keep=false.")
        disk["keep"] = given["keep"] == "true"
    return disk


def _nic(text: str, position: int) -> Json:
    given = _fields("--nic", text, _NIC_FIELDS, "network=tenant-a")
    if "network" not in given:
        raise _wrong(f"--nic {text} has no network", "Write one such as --nic network=tenant-a.")
    nic: Json = {"name": _name("--nic", given.get("name", f"eth{position}"), _LABEL), "network": given["network"]}
    if "address" in given:
        nic["address"] = address(given["address"])
    if "mac" in given:
        nic["mac"] = mac(given["mac"])
    return nic


def address(text: str) -> str:
    """An IPv4 address with its prefix length. Raises ``UsageError``."""
    import ipaddress

    try:
        parsed = ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise _wrong(
            f"{text!r} is no IPv4 address with its prefix length", "Write one such as 10.20.0.11/24."
        ) from error
    ends = (parsed.network.network_address, parsed.network.broadcast_address)
    if "/" not in text or (parsed.network.prefixlen < 31 and parsed.ip in ends):
        raise _wrong(f"{text!r} is no address of a host in its subnet", "Write one such as 10.20.0.11/24.")
    return text


def mac(text: str) -> str:
    """The MAC address of one station. Raises ``UsageError``."""
    if _MAC.fullmatch(text) is None or text == "00:00:00:00:00:00":
        raise _wrong(f"{text!r} is no MAC address of one station", "Write one such as 02:00:00:00:00:0a.")
    return text.lower()


def size(option: str, text: str) -> str:
    """A quantity of bytes that is more than none. Raises ``UsageError``."""
    try:
        positive = parse_bytes(text) > 0
    except ValueError as error:
        raise _wrong(f"{option} {error}", f"Write one such as {option} 20Gi.") from error
    if not positive:
        raise _wrong(f"{option} {text} is nothing", "Write a size such as 20Gi.")
    return text


def ssh_keys(source: str, text: str) -> list[str]:
    """Public keys in a file, one a line; empty lines and comments are none. Raises ``UsageError``."""
    if "PRIVATE KEY" in text:
        raise _wrong(f"{source} is a private key", f"Name its public half: {source}.pub.")
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    bad = next((number for number, line in enumerate(keys, 1) if _SSH_KEY.fullmatch(line) is None), None)
    if bad is not None or not keys:
        cause = f"{source} has no public key" if not keys else f"{source}: key {bad} is no public SSH key"
        raise _wrong(cause, "Name a file such as ~/.ssh/id_ed25519.pub.")
    return keys


def user_data(source: str, data: bytes) -> str:
    """cloud-init user data. Raises ``UsageError`` for what cloud-init would pass over in silence."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _wrong(f"{source} is no text", "Name a file of cloud-init user data.") from error
    if not text.startswith(_USER_DATA_STARTS):
        raise _wrong(
            f"{source} does not begin as user data does, and cloud-init would pass over it",
            "Its first line must be #cloud-config, or #! of a script.",
        )
    if len(data) > _MOST_USER_DATA_BYTES:
        raise _wrong(f"{source} has {len(data)} bytes", f"At most {_MOST_USER_DATA_BYTES} fit beside a machine.")
    return text


def pairs(option: str, text: str) -> dict[str, str]:
    """Labels of ``a=b,c=d``. Raises ``UsageError``."""
    found: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise _wrong(f"{option} {text}: {part!r} is no key=value", f"Write one such as {option} rack=r7.")
        found[key] = value
    return found


def _fields(option: str, text: str, known: Sequence[str], example: str) -> dict[str, str]:
    given = pairs(option, text)
    if unknown := sorted(given.keys() - set(known)):
        raise _wrong(
            f"{option} {text}: there is no {', '.join(unknown)}; there are {', '.join(known)}",
            f"Write one such as {option} {example}.",
        )
    return given


def _name(option: str, text: str, form: re.Pattern[str]) -> str:
    longest = 63 if form is _LABEL else 253
    if form.fullmatch(text) is None or len(text) > longest:
        raise _wrong(
            f"{option} {text!r} cannot be a name",
            "Write lower-case letters, digits and dashes, such as bm-01.",
        )
    return text


def _distinct(option: str, items: list[Json], most: int) -> list[Json]:
    names = [item["name"] for item in items]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _wrong(f"{option}: two are called {', '.join(twice)}", "Give each a name of its own.")
    if len(items) > most:
        raise _wrong(f"{option}: {len(items)} are more than a machine can have", f"At most {most} are possible.")
    return items


def _wrong(cause: str, next_step: str) -> UsageError:
    return UsageError("Reading the arguments", cause, next_step)
