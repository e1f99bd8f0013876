"""Programs of other projects that no registry serves ready-made: built from a small Go module of ours, once a machine.

What is built is kept in the cache for every checkout, under the digest of what it was built from.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import CommandFailed
from sandbox.paths import cache_directory


@dataclass(frozen=True, slots=True)
class GoModule:
    """One binary of a Go module, under the names that it goes by.

    ``directory`` holds go.mod, go.sum and any source of ours; ``package`` is what to build, an import path or ``.``;
    ``title`` is what the user is told that is being built.
    """

    name: str
    title: str
    directory: Path
    programs: tuple[str, ...]
    package: str = "."
    linker_flags: str = "-s -w"

    def built_directory(self) -> Path:
        """Where the build of the present sources is kept, whether or not it is there yet."""
        digest = hashlib.sha256(f"{self.package}\n{self.linker_flags}\n".encode())
        for path in sorted(self.directory.iterdir()):
            if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
                digest.update(path.read_bytes())
        return cache_directory() / self.name / digest.hexdigest()[:16]

    def is_complete(self, directory: Path) -> bool:
        """Whether all programs are there."""
        return all(os.access(directory / program, os.X_OK) for program in self.programs)

    def build(self) -> Path:
        """Build the binary unless it is there; its directory. Two builders at once do no harm.

        Raises ``CommandFailed`` with what the compiler said.
        """
        target = self.built_directory()
        if self.is_complete(target):
            return target
        print(f"setup: building {self.title} (once on this machine, several minutes)", file=sys.stderr, flush=True)
        scratch = target.with_name(f"{target.name}.{os.getpid()}")
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            self._build(scratch / f"metalplane-{self.name}")
            for program in self.programs:
                (scratch / program).symlink_to(f"metalplane-{self.name}")
            if not self.is_complete(target):
                shutil.rmtree(target, ignore_errors=True)
                scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target

    def _build(self, output: Path) -> None:
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOCACHE": os.environ.get("GOCACHE") or str(cache_directory() / "go-build"),
        }
        flags = ["-trimpath", "-buildvcs=false", "-ldflags", self.linker_flags]
        argv = ["go", "build", *flags, "-o", str(output), self.package]
        result = subprocess.run(
            argv, cwd=self.directory, env=environment, stderr=subprocess.PIPE, text=True, check=False
        )
        if result.returncode:
            raise CommandFailed(argv, result.returncode, result.stderr, next_step="Is Go 1.26 installed?")
