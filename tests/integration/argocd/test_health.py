"""The health checks of ``deploy/argocd``, by Argo CD's own evaluator."""

import json
import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provider.api.registry import KINDS
from tests.integration.argocd import settings
from tests.integration.argocd.stories import Story, is_record, stories

STORIES = {story.name: story for story in stories()}


class Evaluator:
    """``argocd admin settings resource-overrides health``, which asks no cluster."""

    def __init__(self, argocd: Path, directory: Path) -> None:
        self._argocd, self._directory = argocd, directory
        self._config = settings.write(directory, settings.configuration())

    def health(self, story: Story) -> tuple[str, str]:
        """Status and message. What the program prints is all that counts: it exits with 0 whatever it thinks."""
        path = self._directory / f"{story.name}.json"
        path.write_text(json.dumps(story.obj))
        argv = [str(self._argocd), "admin", "settings", "resource-overrides", "health", str(path)]
        argv.append(f"--argocd-cm-path={self._config}")
        # Where it would look for a configuration of the user's.
        environment = {**os.environ, "HOME": str(self._directory)}
        told = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        lines = dict(line.split(": ", 1) for line in told.stdout.splitlines() if ": " in line)
        return lines.get("STATUS", told.stdout + told.stderr), lines.get("MESSAGE", "")


@pytest.fixture(scope="module")
def verdicts(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[str, str]]:
    """What Argo CD thinks of each story; asked all at once, for each is a process."""
    evaluator = Evaluator(programs / "argocd", tmp_path_factory.mktemp("health"))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip(STORIES, pool.map(evaluator.health, STORIES.values()), strict=True))


@pytest.mark.parametrize("name", STORIES)
def test_argo_cd_sees_the_health_of(name: str, verdicts: Mapping[str, tuple[str, str]]) -> None:
    status, message = verdicts[name]
    assert status == STORIES[name].health, message
    assert STORIES[name].says in message


def test_every_kind_has_a_check_and_a_story() -> None:
    kinds = {kind.resource.kind for kind in KINDS}
    assert set(settings.health_checks(settings.configuration())) == kinds
    assert {story.obj["kind"] for story in STORIES.values()} == kinds


def test_a_kind_without_conditions_has_the_check_of_records() -> None:
    checks = settings.health_checks(settings.configuration())
    records = {kind.resource.kind for kind in KINDS if is_record(kind)}
    assert {kind for kind, lua in checks.items() if "conditions" not in lua} == records


def test_a_tenants_project_permits_machines_and_what_argo_cd_is_to_show_below_them() -> None:
    permitted = settings.example("project")["spec"]["namespaceResourceWhitelist"]
    assert {entry["group"] for entry in permitted} == {"metalplane.io"}
    below_a_machine = {"claim", "managed"}
    shown = {kind.resource.kind for kind in KINDS if below_a_machine & set(kind.categories)}
    assert {entry["kind"] for entry in permitted} == shown


def test_no_inventory_is_a_tenants() -> None:
    assert settings.example("project")["spec"]["clusterResourceWhitelist"] == []
