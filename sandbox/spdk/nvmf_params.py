"""Parameters of the ``nvmf_*`` methods: members, types and defaults as SPDK decodes them (lib/nvmf/nvmf_rpc.c)."""

import re

from pydantic import BaseModel, ConfigDict, Field

from sandbox.spdk.dispatch import Params

_UUID_FORM = "nqn.2014-08.org.nvmexpress:uuid:"
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LABEL = r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DATE_FORM = re.compile(rf"nqn\.\d{{4}}-\d\d\.{_LABEL}(\.{_LABEL})*:.+", re.DOTALL)
_NQN_BYTES = range(11, 224)


def is_nqn(name: str) -> bool:
    """Whether SPDK takes it for a name (NVMe base specification, "NVMe Qualified Names").

    Either a date, a reversed domain and any string, or a fixed prefix and a UUID, with nothing behind it.
    """
    if len(name.encode()) not in _NQN_BYTES:
        return False
    if name.startswith(_UUID_FORM):
        return _UUID.fullmatch(name.removeprefix(_UUID_FORM)) is not None
    return _DATE_FORM.fullmatch(name) is not None


class _Member(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ListenAddress(_Member):
    trtype: str
    traddr: str
    trsvcid: str = ""
    adrfam: str = "IPv4"


class NamespaceParams(_Member):
    bdev_name: str
    nsid: int = Field(default=0, ge=0)
    uuid: str | None = None
    nguid: str | None = None


class CreateTransport(Params):
    trtype: str


class GetTransports(Params):
    trtype: str | None = None


class CreateSubsystem(Params):
    nqn: str
    serial_number: str = "00000000000000000000"
    model_number: str = "SPDK bdev Controller"
    allow_any_host: bool = False
    max_namespaces: int = 32


class Nqn(Params):
    nqn: str


class MaybeNqn(Params):
    nqn: str | None = None


class AddNamespace(Params):
    nqn: str
    namespace: NamespaceParams


class RemoveNamespace(Params):
    nqn: str
    nsid: int


class Host(Params):
    nqn: str
    host: str


class AllowAnyHost(Params):
    nqn: str
    allow_any_host: bool


class RemoveHost(Params):
    nqn: str
    host: str
    timeout_ms: int | None = None


class Listener(Params):
    nqn: str
    listen_address: ListenAddress
