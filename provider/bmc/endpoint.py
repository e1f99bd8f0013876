"""Which BMC, as whom."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and credentials of one BMC. Two endpoints are the same session only if all of it is the same."""

    address: str
    port: int
    username: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"
