"""What all models share: camelCase, CEL rules beside the fields they judge, reusable field types."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from provider.api.names import DPU_NAMESPACE_PREFIX

DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_LABEL = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
QUANTITY_PATTERN = "^[0-9]+([.][0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
# sshd(8), "AUTHORIZED_KEYS FILE FORMAT", without the options before a key: type, base64, comment, all on one line.
SSH_KEY_PATTERN = (
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh[.]com"
    r"|sk-ecdsa-sha2-nistp256@openssh[.]com) ([A-Za-z0-9+/]{4})*[A-Za-z0-9+/]{2}([A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==)"
    r"( [^[:cntrl:]]*)?$"
)
MAC_PATTERN = r"^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$"


def json_name(name: str) -> str:
    """A field's name on the wire: camelCase, UID in capitals (Kubernetes API conventions, "Naming conventions")."""
    return re.sub("Uid$", "UID", to_camel(name))


API_MODEL_CONFIG = ConfigDict(alias_generator=json_name, populate_by_name=True, extra="ignore", frozen=True)


class ApiModel(BaseModel):
    """A part of an API object. Unknown fields are kept out, as the API server prunes them."""

    model_config = API_MODEL_CONFIG

    def to_json(self) -> dict[str, Any]:
        """The object as it goes over the wire: camelCase names, absent optional fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def cel(rule: str, message: str, *, field_path: str | None = None) -> dict[str, str]:
    """One ``x-kubernetes-validations`` entry: a CEL ``rule`` and the ``message`` that says what to write instead."""
    entry = {"rule": rule, "message": message}
    return entry if field_path is None else entry | {"fieldPath": field_path}


def validations(*entries: dict[str, str]) -> dict[str, Any]:
    """Schema extra that carries CEL rules into the generated CRD."""
    return {"x-kubernetes-validations": list(entries)}


def list_map(*keys: str) -> dict[str, Any]:
    """Schema extra that makes a list a map by ``keys``: duplicates are refused, and appliers can own single items."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


SIZE_GROWS = (
    "!isQuantity(self.size) || !isQuantity(oldSelf.size) || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0"
)


# Room for what is no IPv4 or MAC address: past a length limit no rule is asked, and nobody says what to write instead.
_LONGER_THAN_ANY_ADDRESS = 64


def _string(*rules: dict[str, str], max_length: int, min_length: int | None = None) -> Any:
    """A string that CEL judges. No ``pattern`` beside it: its message would only quote the expression."""
    return Field(min_length=min_length, max_length=max_length, json_schema_extra=validations(*rules))


_LABEL = cel(
    f"self.matches('{DNS_LABEL_PATTERN}')", "must be a DNS label: lower-case letters, digits and dashes, such as data-1"
)
DnsLabel = Annotated[str, _string(_LABEL, min_length=1, max_length=63)]
DpuName = Annotated[str, _string(_LABEL, min_length=1, max_length=63 - len(DPU_NAMESPACE_PREFIX))]
ObjectName = Annotated[
    str,
    _string(
        cel(
            f"self.matches('{OBJECT_NAME_PATTERN}')",
            "must be the name of an object: lower-case letters, digits, dashes and dots, such as debian-12",
        ),
        min_length=1,
        max_length=253,
    ),
]
SshPublicKey = Annotated[
    str,
    _string(
        cel(
            f"self.matches('{SSH_KEY_PATTERN}')",
            "must be one line of a .pub file: the key's type, its base64, and a comment if you like,"
            " such as ssh-ed25519 AAAA... me@example",
        ),
        max_length=8192,
    ),
]
Quantity = Annotated[
    str,
    _string(
        cel(f"self.matches('{QUANTITY_PATTERN}')", "must be a quantity: write a number with a suffix, such as 20Gi"),
        cel("!isQuantity(self) || quantity(self).isGreaterThan(quantity('0'))", "must be more than 0, such as 20Gi"),
        cel("!isQuantity(self) || quantity(self).isLessThan(quantity('8Ei'))", "must be less than 8Ei, such as 20Gi"),
        max_length=32,
    ),
]
CidrAddress = Annotated[
    str,
    _string(
        cel(
            "isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self).ip().isGlobalUnicast()",
            "must be an IPv4 address with its prefix length, such as 10.20.0.11/24",
        ),
        max_length=_LONGER_THAN_ANY_ADDRESS,
    ),
]
Subnet = Annotated[
    str,
    _string(
        cel(
            "isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self) == cidr(self).masked()",
            "must be an IPv4 subnet without host bits, such as 10.20.0.0/24",
        ),
        max_length=18,
    ),
]
IpAddress = Annotated[str, _string(cel("isIP(self)", "must be an IP address, such as 10.20.0.1"), max_length=45)]
DeviceName = Annotated[
    str,
    _string(
        cel("self.matches('^[-_.:@0-9A-Za-z]+$')", "must be the name of a network device, such as vm0"),
        min_length=1,
        max_length=15,
    ),
]
MacAddress = Annotated[
    str,
    _string(
        cel(
            f"self.matches('{MAC_PATTERN}') && self != '00:00:00:00:00:00'",
            "must be the MAC address of one station, such as 02:00:00:00:00:0a",
        ),
        max_length=_LONGER_THAN_ANY_ADDRESS,
    ),
]


class LabelSelector(ApiModel):
    """Objects that carry all of these labels."""

    match_labels: dict[str, str] = Field(min_length=1, max_length=32, description="Labels that must all be present.")


class LocalSecretReference(ApiModel):
    """A Secret in the same namespace (for cluster-scoped objects: in the installation namespace)."""

    name: ObjectName = Field(description="Name of the Secret.")


class ObjectReference(ApiModel):
    """Another object, with its UID where mistaking a namesake for it would be dangerous."""

    namespace: str | None = Field(default=None, description="Namespace of the object.")
    name: ObjectName = Field(description="Name of the object.")
    uid: str | None = Field(default=None, description="UID of the object.")
