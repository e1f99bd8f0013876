"""A cloud-init NoCloud seed, rendered: user-data, meta-data, network-config and vendor-data.

https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html

The tenant's user data may be of any of cloud-init's formats (cloud-config, a script, MIME), so it is passed through
byte for byte. What we add goes where it needs no merging: the host name and the SSH keys stand in meta-data
(``local-hostname``, ``public-keys``: cloud-init gives them to the default user), the network in network-config v2.

What belongs to the first boot (users, keys, commands) follows the ``instance-id``, which never changes. NICs come and
go, so the network is to be set up as the seed says at every boot; unasked, cloud-init does that at the first one only
(https://docs.cloud-init.io/en/latest/explanation/events.html). User data may say otherwise: it goes before vendor data.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from provider.api.virtualdisk import SeedParameters

NO_USER_DATA = b"#cloud-config\n{}\n"
VENDOR_DATA = b"#cloud-config\nupdates: {network: {when: [boot-new-instance, boot]}}\n"
MOST_BYTES = 1024 * 1024
"""All that the ``data`` of a Secret may hold (Kubernetes, MaxSecretSize)."""

USER_DATA = "user-data"
_INTERFACE_NAME_LIMIT = 15
"""IFNAMSIZ - 1: Linux takes no longer name for a network interface."""


@dataclass(frozen=True, slots=True)
class SeedNIC:
    """One NIC as the operating system must set it up; matched by MAC, for names in the guest cannot be foreseen."""

    name: str
    mac: str
    addresses: tuple[str, ...]
    gateway: str | None = None
    name_servers: tuple[str, ...] = ()
    mtu: int | None = None


def render(
    seed: SeedParameters, machine_uid: str, nics: Sequence[SeedNIC], user_data: bytes | None
) -> dict[str, bytes]:
    """The files of the seed by name. A new ``instance-id`` makes cloud-init run again: it is the machine's UID."""
    metadata: dict[str, Any] = {"instance-id": machine_uid, "local-hostname": seed.hostname}
    if seed.ssh_authorized_keys:
        metadata["public-keys"] = list(seed.ssh_authorized_keys)
    return {
        USER_DATA: NO_USER_DATA if user_data is None else user_data,
        "meta-data": _yaml(metadata),
        "network-config": _yaml(_network(nics)),
        "vendor-data": VENDOR_DATA,
    }


def encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    """The files as the ``data`` of a Secret."""
    return {file: base64.b64encode(content).decode() for file, content in files.items()}


def user_data_of(data: Mapping[str, str]) -> bytes:
    """The user data of a seed that was rendered before."""
    return base64.b64decode(data[USER_DATA])


def digest(data: Mapping[str, str]) -> str:
    """Tells one content of a seed from another."""
    lines = (f"{file} {content}\n" for file, content in sorted(data.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _network(nics: Sequence[SeedNIC]) -> dict[str, Any]:
    # One default route: two would race, and the first NIC that has a gateway is the one its owner listed first.
    routed = next((nic for nic in nics if nic.gateway), None)
    return {"version": 2, "ethernets": {nic.name: _ethernet(nic, default=nic is routed) for nic in nics}}


def _ethernet(nic: SeedNIC, *, default: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"match": {"macaddress": nic.mac}, "addresses": list(nic.addresses)}
    if len(nic.name) <= _INTERFACE_NAME_LIMIT:
        entry["set-name"] = nic.name
    if nic.mtu is not None:
        entry["mtu"] = nic.mtu
    if default:
        # cloud-init 22.4 (Debian 12) refuses the word "default" here.
        entry["routes"] = [{"to": "0.0.0.0/0", "via": nic.gateway}]
    if nic.name_servers:
        entry["nameservers"] = {"addresses": list(nic.name_servers)}
    return entry


def _yaml(content: dict[str, Any]) -> bytes:
    return yaml.safe_dump(content, sort_keys=False, width=4096).encode()
