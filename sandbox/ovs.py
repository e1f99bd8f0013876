"""One Open vSwitch for each DPU and one on top of the rack: its own database, daemons, sockets and network namespace.

The daemons run in the foreground under the supervisor (ovsdb-server(1), ovs-vswitchd(8)). The bridge uses the userspace
datapath; ports of servers are the agent's, only cables to the outside are made here.
"""

from dataclasses import dataclass
from pathlib import Path

from sandbox.network import run
from sandbox.process import ProcessSpec, Ready

BRIDGE = "br0"

_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


@dataclass(frozen=True, slots=True)
class OpenVSwitch:
    """One instance. ``files`` holds its database, ``sockets`` its sockets."""

    name: str
    files: Path
    sockets: Path
    network_namespace: str

    @property
    def database_socket(self) -> Path:
        return self.sockets / "db.sock"

    @property
    def _database(self) -> Path:
        return self.files / "conf.db"

    def prepare(self) -> None:
        """Have the directories, and a database when there is none."""
        self.files.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(parents=True, exist_ok=True)
        if not self._database.exists():
            run("ovsdb-tool", "create", str(self._database), str(_SCHEMA))

    def processes(self) -> list[ProcessSpec]:
        """ovsdb-server and ovs-vswitchd."""
        server_control = self.sockets / "ovsdb-server.ctl"
        switch_control = self.sockets / "ovs-vswitchd.ctl"
        server = (
            "ovsdb-server",
            str(self._database),
            f"--remote=punix:{self.database_socket}",
            f"--unixctl={server_control}",
            "-vsyslog:off",
            "-vconsole:info",
        )
        switch = (
            "ovs-vswitchd",
            f"unix:{self.database_socket}",
            f"--unixctl={switch_control}",
            "-vsyslog:off",
            "-vconsole:info",
        )
        return [
            self._process("ovsdb-server", server, self.database_socket),
            self._process("ovs-vswitchd", switch, switch_control),
        ]

    def ensure_bridge(self, bridge: str) -> None:
        """Have a bridge, which passes frames between its ports while no agent has said otherwise."""
        self._configure("--", "set", "Open_vSwitch", ".", f"external_ids:system-id={self.name}")
        settings = ("datapath_type=netdev", "fail_mode=standalone")
        self._configure("--may-exist", "add-br", bridge, "--", "set", "bridge", bridge, *settings)

    def ensure_port(self, bridge: str, device: str, *, vlan: int | None = None) -> None:
        """Have a device as a port: in one VLAN, untagged at the port, or as a trunk of all."""
        tag = "tag=[]" if vlan is None else f"tag={vlan}"
        self._configure("--may-exist", "add-port", bridge, device, "--", "set", "port", device, tag)

    def _configure(self, *arguments: str) -> None:
        run("ovs-vsctl", f"--db=unix:{self.database_socket}", "--timeout=20", *arguments)

    def _process(self, program: str, argv: tuple[str, ...], socket: Path) -> ProcessSpec:
        directories = {f"OVS_{name}": str(self.sockets) for name in ("RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR")}
        return ProcessSpec(
            f"{program}-{self.name}",
            argv,
            environment=directories,
            network_namespace=self.network_namespace,
            ready=(Ready("unix", str(socket)),),
        )
