"""A git repository of machines, as a tenant keeps one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.network import run

Json = dict[str, Any]

MACHINES = "machines"


class Repository:
    """Each machine is a file of its own. It begins with a commit that has none."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / MACHINES).mkdir(parents=True)
        (directory / MACHINES / ".gitkeep").touch()
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit({})

    @property
    def url(self) -> str:
        return f"file://{self._directory}"

    def commit(self, changes: Mapping[str, Json | None]) -> str:
        """Write these objects by file name, or remove their files (None), in one commit; its revision."""
        for name, obj in changes.items():
            path = self._directory / MACHINES / f"{name}.yaml"
            if obj is None:
                path.unlink()
            else:
                path.write_text(yaml.safe_dump(obj))
        self._git("add", "--all")
        self._git("commit", "--quiet", f"--message=machines: {', '.join(changes)}")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        tenant = ("-c", "user.name=tenant", "-c", "user.email=tenant@example.com")
        return run("git", *tenant, "-C", str(self._directory), *arguments)
