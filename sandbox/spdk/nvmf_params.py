"""Parameters of the ``nvmf_*`` methods: members, types and defaults as SPDK decodes them (lib/nvmf/nvmf_rpc.c)."""

from pydantic import BaseModel, ConfigDict, Field

from sandbox.spdk.dispatch import Params


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
