"""Where the control plane's programs are looked for."""

from pathlib import Path

import pytest

from sandbox import binaries
from sandbox.errors import MissingTool


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    return directory(tmp_path / "assets")


def directory(path: Path) -> Path:
    path.mkdir(parents=True)
    for program in binaries.PROGRAMS:
        (path / program).touch(mode=0o755)
    return path


@pytest.mark.parametrize("variable", ["KUBEBUILDER_ASSETS", "PATH"])
def test_what_the_machine_has_is_used(assets: Path, variable: str) -> None:
    assert binaries.find({variable: str(assets)}).kubectl == assets / "kubectl"


def test_what_setup_linked_to_is_not_taken_for_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "SOURCE", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    linked = directory(tmp_path / ".venv" / "bin")
    with pytest.raises(MissingTool):
        binaries.find({"PATH": f"{linked}/"})
