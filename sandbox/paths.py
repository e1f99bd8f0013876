"""Where everything of one sandbox lies.

A sandbox belongs to a directory (a checkout, or a test's own). Its files are in ``.sandbox`` there; its sockets are
under ``/run``, because a Unix socket's path has 108 bytes and a checkout's may be longer. The id that keeps two
sandboxes of one machine apart is a digest of the directory's path.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
"""The checkout that this code runs from; the product's modules are started from here."""

RUN_ROOT = Path("/run/metalplane")


def cache_directory() -> Path:
    """What is slow to build and shared by every checkout: binaries, images, compilers' caches."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "metalplane"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths and names of the sandbox that belongs to ``directory``."""

    directory: Path

    @classmethod
    def of(cls, directory: Path | str) -> "Layout":
        return cls(Path(directory).resolve())

    @property
    def id(self) -> str:
        return hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:8]

    @property
    def files(self) -> Path:
        return self.directory / ".sandbox"

    @property
    def run(self) -> Path:
        return RUN_ROOT / self.id

    @property
    def state(self) -> Path:
        return self.files / "state.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for the user of the sandbox."""
        return self.files / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.files / "pki"

    @property
    def log(self) -> Path:
        return self.files / "log"

    @property
    def trace(self) -> Path:
        return self.files / "trace"

    @property
    def ssh_key(self) -> Path:
        return self.files / "id_ed25519"

    @property
    def storage(self) -> Path:
        return self.files / "storage"

    @property
    def storage_run(self) -> Path:
        return self.run / "storage"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def rack(self) -> Path:
        return self.files / "rack"

    @property
    def rack_run(self) -> Path:
        return self.run / "rack"

    def dpu(self, number: int) -> Path:
        return self.files / "dpu" / str(number)

    def dpu_run(self, number: int) -> Path:
        return self.run / f"dpu{number}"

    def server(self, number: int) -> Path:
        return self.files / "server" / str(number)

    def server_run(self, number: int) -> Path:
        return self.run / f"server{number}"

    def dpu_namespace(self, number: int) -> str:
        """Network namespace of a DPU."""
        return f"mp-{self.id}-dpu{number}"

    @property
    def tenant_namespace(self) -> str:
        """Network namespace in which a tenant's client sits."""
        return f"mp-{self.id}-tenant"

    @property
    def rack_namespace(self) -> str:
        """Network namespace of the top-of-rack switch."""
        return f"mp-{self.id}-rack"

    @property
    def storage_namespace(self) -> str:
        """Network namespace of the storage node."""
        return f"mp-{self.id}-storage"

    @property
    def network_namespace_prefix(self) -> str:
        return f"mp-{self.id}-"
