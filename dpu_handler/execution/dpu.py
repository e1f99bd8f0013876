"""The clients of one DPU, in one place."""

from dataclasses import dataclass
from pathlib import Path

from dpu_handler.southbound import EmulationClient, OvsdbClient, SpdkClient

OVSDB_TABLES = {
    "Bridge": ["name", "ports"],
    "Port": ["name", "tag", "interfaces"],
    "Interface": ["name", "type", "external_ids", "mtu_request", "ofport", "link_state"],
}
"""Columns of Open vSwitch's schema (ovs-vswitchd.conf.db(5)) that the agent reads."""


@dataclass(frozen=True, slots=True)
class Dpu:
    """One DPU: its target, its device emulation, its switch."""

    spdk: SpdkClient
    emulation: EmulationClient
    ovsdb: OvsdbClient
    bridge: str
    vhost_dir: Path

    def close(self) -> None:
        """Close all connections."""
        self.spdk.close()
        self.emulation.close()
        self.ovsdb.close()
