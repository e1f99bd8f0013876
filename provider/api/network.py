"""``Network``: a tenant network, one VLAN of the DPUs' Open vSwitch."""

from pydantic import ConfigDict, Field

from provider.api.meta import KubeObject
from provider.api.schema import API_MODEL_CONFIG, ApiModel, IpAddress, Subnet, cel, validations

_GATEWAY = "!has(self.gateway) || !isCIDR(self.subnet) || !isIP(self.gateway) || "
# As a number, the last address of a subnet is one less than a multiple of the subnet's size. CEL has no bits to test.
_NOT_THE_LAST = (
    "[self.gateway.split('.')].all(octets, octets.size() != 4 || (int(octets[0]) * 16777216 + int(octets[1]) * 65536"
    f" + int(octets[2]) * 256 + int(octets[3]) + 1) % {[2 ** (32 - bits) for bits in range(33)]}"
    "[cidr(self.subnet).prefixLength()] != 0)"
)


class NetworkSpec(ApiModel):
    """The network and who may join it."""

    model_config = ConfigDict(
        **API_MODEL_CONFIG,
        json_schema_extra=validations(
            cel(
                f"{_GATEWAY}cidr(self.subnet).containsIP(self.gateway)",
                "gateway is not in subnet: write an address of the subnet that no machine has, such as its first host",
            ),
            cel(
                "!has(self.gateway) || !self.subnet.startsWith(self.gateway + '/')",
                "gateway is the network's own address: write an address of the subnet, such as its first host",
            ),
            cel(
                f"{_GATEWAY}!cidr(self.subnet).containsIP(self.gateway) || {_NOT_THE_LAST}",
                "gateway is the broadcast address: write an address of the subnet, such as its first host",
            ),
        ),
    )

    vlan: int = Field(ge=1, le=4094, description="VLAN tag (IEEE 802.1Q).")
    subnet: Subnet = Field(description="Subnet of the machines' addresses, such as 10.20.0.0/24.")
    gateway: IpAddress | None = Field(default=None, description="Default gateway that machines are told.")
    name_servers: list[IpAddress] = Field(
        default_factory=list, max_length=8, description="DNS servers that machines are told."
    )
    mtu: int = Field(default=1500, ge=576, le=9216, description="Largest packet, in bytes.")
    allowed_namespaces: list[str] = Field(
        default_factory=list, max_length=256, description="Namespaces whose machines may join; '*' is any."
    )


class Network(KubeObject):
    """A tenant network."""

    spec: NetworkSpec

    def allows(self, namespace: str) -> bool:
        """Whether machines of ``namespace`` may join the network."""
        return "*" in self.spec.allowed_namespaces or namespace in self.spec.allowed_namespaces
