"""The one wheel as images and users install it: each part with its own extra, and with nothing of another part."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox.paths import SOURCE, cache_directory

_BIN = Path(sys.executable).parent
_TIMEOUT_S = 300.0
_ENVIRONMENT = {
    "CARGO_TARGET_DIR": str(cache_directory() / "cargo-target"),
    "UV_CACHE_DIR": str(cache_directory() / "uv"),
} | dict(os.environ)

PROGRAMS = {
    "provider": ["provider", "provider.apiserver", "provider.function"],
    "agent": ["dpu_handler", "dpu_handler.lvol"],
    "bmctl": ["bmctl"],
}
"""Modules that each part starts."""

OF_OTHERS = {
    "provider": ["pycdlib", "kubernetes", "psutil"],
    "agent": ["pyghmi", "crossplane", "kubernetes", "psutil"],
    "bmctl": ["kopf", "grpc", "aiohttp", "pyghmi", "opentelemetry", "kubernetes", "psutil"],
}


def run(*argv: str | Path, directory: Path) -> str:
    """The output; a program sees nothing of the checkout unless it is in it."""
    ended = subprocess.run(
        [str(argument) for argument in argv],
        cwd=directory,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    run(_BIN / "maturin", "build", "--quiet", "--release", "--locked", "--out", directory, directory=SOURCE)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="session", params=PROGRAMS)
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A part, and the Python of an environment that has the wheel with that part's extra alone."""
    part: str = request.param
    directory = tmp_path_factory.mktemp(part)
    python = directory / "venv" / "bin" / "python"
    run(_BIN / "uv", "venv", "--quiet", "--python", sys.executable, directory / "venv", directory=directory)
    wanted = f"{wheel}[{part}]"
    locked = ("--constraint", SOURCE / "requirements.lock")
    run(_BIN / "uv", "pip", "install", "--quiet", "--python", python, *locked, wanted, directory=directory)
    return part, python


def test_the_wheel_has_all_parts_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"provider", "dpu_handler", "bmctl", "sandbox", "compositions"}
    assert [name for name in names if name.endswith(".so")] == ["dpu_handler/_native.abi3.so"]
    assert {"compositions/definition.yaml", "compositions/composition.yaml", "provider/py.typed"} <= set(names)


def test_its_programs_start_with_its_extra_alone(installed: tuple[str, Path], tmp_path: Path) -> None:
    part, python = installed
    for program in PROGRAMS[part]:
        assert "usage:" in run(python, "-m", program, "--help", directory=tmp_path).lower()


def test_it_brings_nothing_of_another_part(installed: tuple[str, Path], tmp_path: Path) -> None:
    part, python = installed
    look = f"from importlib.util import find_spec; print([each for each in {OF_OTHERS[part]} if find_spec(each)])"
    assert run(python, "-c", look, directory=tmp_path).strip() == "[]"


def test_bmctl_is_a_command_and_kubectls_plugin(installed: tuple[str, Path], tmp_path: Path) -> None:
    part, python = installed
    if part == "bmctl":
        for command in ("bmctl", "kubectl-bm"):
            assert "0.1.0" in run(python.with_name(command), "version", "--client", directory=tmp_path)
        assert "restart" in run(python.with_name("kubectl_complete-bm"), "re", directory=tmp_path).split()
