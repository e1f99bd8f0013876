"""What the CEL rules of our CRDs mean, said once more in Python: by the messages that they give.

Written from the messages and not from the expressions, with other libraries (``ipaddress``, ``decimal``), so that an
expression which does not do what its message says is found.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address
from typing import Any

from provider.api.quantity import parse_bytes

Json = dict[str, Any]
Rule = Callable[[Any], bool]
Change = Callable[[Any, Any], bool]

_GIVING_TIME = ("GracefulShutdown", "GracefulRestart")
_EIGHT_EI = 8 * 2**60
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUANTITY = re.compile(r"[0-9]+([.][0-9]+)?([KMGTP]i|[kMGTP])?")
_KEY_TYPES = re.compile(
    r"ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
_BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _is_quantity(text: str) -> bool:
    return _QUANTITY.fullmatch(text) is not None


def _amount(text: str) -> Decimal:
    return Decimal(parse_bytes(text))


def _is_station(mac: str) -> bool:
    octets = mac.split(":")
    well_formed = len(octets) == 6 and all(re.fullmatch("[0-9a-fA-F]{2}", octet) for octet in octets)
    return well_formed and not int(octets[0], 16) & 1 and any(int(octet, 16) for octet in octets)


def _is_host_address(text: str) -> bool:
    if "/" not in text or not re.fullmatch("0|[1-9][0-9]?", text.split("/", 1)[1]) or not _reads(IPv4Interface, text):
        return False
    address = IPv4Interface(text).ip
    nobody = address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified
    return not nobody and address != IPv4Address("255.255.255.255")


def _is_subnet(text: str) -> bool:
    return bool(re.fullmatch("[^/]+/(0|[1-9][0-9]?)", text)) and _reads(IPv4Network, text)


def _is_key(text: str) -> bool:
    kind, _, rest = text.partition(" ")
    base64, _, comment = rest.partition(" ")
    plain = not re.search(r"[\x00-\x1f\x7f]", comment)
    return bool(_KEY_TYPES.fullmatch(kind)) and bool(_BASE64.fullmatch(base64)) and plain


def _differ(items: list[Json], member: str) -> bool:
    return len({item[member] for item in items}) == len(items)


def _gateway(spec: Json) -> tuple[IPv4Network, IPv4Address] | None:
    """Subnet and gateway, where there is one to judge and it is in the subnet."""
    if not _is_subnet(spec["subnet"]) or not _reads(IPv4Address, spec.get("gateway", "")):
        return None
    subnet, gateway = IPv4Network(spec["subnet"]), IPv4Address(spec["gateway"])
    return (subnet, gateway) if gateway in subnet else None


def _gateway_in_subnet(spec: Json) -> bool:
    gateway = spec.get("gateway", "")
    return not _is_subnet(spec["subnet"]) or not _reads(ip_address, gateway) or _gateway(spec) is not None


def _gateway_is_no_network(spec: Json) -> bool:
    found = _gateway(spec)
    return found is None or found[1] != found[0].network_address


def _gateway_is_no_broadcast(spec: Json) -> bool:
    found = _gateway(spec)
    return found is None or found[1] != found[0].broadcast_address


def _either(*names: str) -> Rule:
    return lambda spec: sum(name in spec for name in names) == 1


def _full(pattern: re.Pattern[str]) -> Rule:
    return lambda text: pattern.fullmatch(text) is not None


def _same(*names: str) -> Change:
    return lambda new, old: all(new.get(name) == old.get(name) for name in names)


def _no_smaller(new: Json, old: Json) -> bool:
    return not _is_quantity(new["size"]) or _amount(new["size"]) >= _amount(old["size"])


RULES: dict[str, Rule] = {
    "must be the name of an object": _full(_NAME),
    "must be a host name": _full(_NAME),
    "must be a DNS label": _full(_LABEL),
    "must be a quantity": _is_quantity,
    "must be more than 0": lambda text: not _is_quantity(text) or _amount(text) > 0,
    "must be less than 8Ei": lambda text: not _is_quantity(text) or _amount(text) < _EIGHT_EI,
    "must be an IPv4 address with its prefix length": _is_host_address,
    "must be an IPv4 subnet without host bits": _is_subnet,
    "must be an IP address": lambda text: _reads(ip_address, text) and "%" not in text and not _maps_ipv4(text),
    "must be the MAC address of one station": _is_station,
    "must be one line of a .pub file": _is_key,
    "must be an address or a DNS name": _full(re.compile("[-.:0-9A-Za-z]+")),
    "must be the name of a network device": _full(re.compile("[-_.:@0-9A-Za-z]+")),
    "give either instanceType or serverSelector": _either("instanceType", "serverSelector"),
    "give either csi or seed": _either("csi", "seed"),
    "exactly one disk must have boot": lambda disks: sum(bool(disk.get("boot")) for disk in disks) == 1,
    "two disks have the same name": lambda disks: _differ(disks, "name"),
    "two interfaces have the same name": lambda interfaces: _differ(interfaces, "name"),
    "a boot disk needs an image": lambda disk: not disk.get("boot") or "image" in disk,
    "imageDigest pins an image": lambda volume: "imageDigest" not in volume or "image" in volume,
    "give serverClaimRef": lambda parameters: bool({"serverClaimRef", "serverClaimSelector"} & set(parameters)),
    "give either a volume": lambda disk: bool({"volumeRef", "volumeSelector"} & set(disk)) != ("seed" in disk),
    "a seed can only be read": lambda disk: "seed" not in disk or disk.get("readOnly", True),
    "only GracefulShutdown and GracefulRestart give time: leave gracePeriodSeconds": lambda request: (
        "gracePeriodSeconds" not in request or request["action"] in _GIVING_TIME
    ),
    "only GracefulShutdown and GracefulRestart give time: leave forceAfterGracePeriod": lambda request: (
        not request.get("forceAfterGracePeriod") or request["action"] in _GIVING_TIME
    ),
    "a NIC slot lies beyond slots": lambda server: all(nic["slot"] <= server["slots"] for nic in _nics(server)),
    "two NIC slots have the same representor": lambda server: _differ(_nics(server), "representor"),
    "gateway is not in subnet": lambda spec: "gateway" not in spec or _gateway_in_subnet(spec),
    "gateway is the network's own address": _gateway_is_no_network,
    "gateway is the broadcast address": _gateway_is_no_broadcast,
}
"""What must be so of any object, by how the message begins."""

CHANGES: dict[str, Change] = {
    "instanceType is immutable": _same("instanceType"),
    "serverSelector is immutable": _same("serverSelector"),
    "cloudInit is immutable": _same("cloudInit"),
    "the boot disk cannot be removed or renamed": lambda new, old: _boot(old) <= {disk["name"] for disk in new},
    "a disk cannot shrink": _no_smaller,
    "a volume cannot shrink": _no_smaller,
    "image is immutable": _same("image"),
    "imageDigest is immutable": lambda new, old: "imageDigest" not in old or _same("imageDigest")(new, old),
    "storageClass is immutable": _same("storageClass"),
    "storageClassName is immutable": _same("storageClassName"),
    "boot is immutable": lambda new, old: bool(new.get("boot")) == bool(old.get("boot")),
    "network is immutable": _same("network"),
    "address is immutable": _same("address"),
    "mac is immutable": _same("mac"),
    "slot is immutable": _same("slot"),
    "index is immutable": _same("index"),
    "a request is not changed once it is made": lambda new, old: new["id"] != old["id"] or new == old,
}
"""What must be so of a change (the new value, the old one), by how the message begins."""


def _maps_ipv4(text: str) -> bool:
    """An IPv4 address written as one of IPv6 (RFC 4291, section 2.5.5.2), which CEL does not take."""
    return ":" in text and ("." in text or text.lower().startswith("::ffff:"))


def _nics(server: Json) -> list[Json]:
    return list(server.get("nicSlots", ()))


def _boot(disks: list[Json]) -> set[str]:
    return {disk["name"] for disk in disks if disk.get("boot")}
