"""Fixtures that more than one directory of tests uses. What a session starts belongs to a directory of its own.

A boot of a server is the dearest thing that a test can ask for, so all of a session are counted, by the chassis
themselves, and too many fail the session.

``make test`` runs two processes of tests (pytest-xdist). What shares a cloud, or a control plane, stays in one of them,
and the longest goes first, so that the short ones fill the gap at the end.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from sandbox.apiserver import ApiServer

MOST_BOOTS = 10
_TOGETHER = ("tests/e2e", "tests/integration")
"""Directories whose tests share what is dear to start; the longest first. Of the others each file stands alone."""

_LEDGER = "METALPLANE_BOOT_LEDGER"

# A machine that is busy with something else is no counterexample, and to shrink one takes minutes.
hypothesis.settings.register_profile("metalplane", deadline=None)
hypothesis.settings.load_profile("metalplane")


def pytest_configure() -> None:
    """Name the file in which every chassis of this session notes its boots."""
    if _LEDGER not in os.environ:
        descriptor, path = tempfile.mkstemp(prefix="metalplane-boots-")
        os.close(descriptor)
        os.environ[_LEDGER] = path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring those first that take longest."""
    items.sort(
        key=lambda item: _TOGETHER.index(group) if (group := _group(item.nodeid)) in _TOGETHER else len(_TOGETHER)
    )


def _group(nodeid: str) -> str:
    """The directory that a test shares something dear with, or its file."""
    return next((each for each in _TOGETHER if nodeid.startswith(f"{each}/")), nodeid.partition("::")[0])


class _Groups(LoadScopeScheduling):  # type: ignore[misc]
    """Hands whole directories, or files, to a process (``--dist=loadgroup`` finds no groups under pytest 9.2)."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Called where there are several processes."""
    config.option.loadscopereorder = False
    return _Groups(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that booted too often, and say so."""
    if hasattr(session.config, "workerinput"):
        return  # one of several processes: who started it counts for all
    ledger = Path(os.environ.pop(_LEDGER))
    boots = ledger.read_text().splitlines() if ledger.exists() else []
    ledger.unlink(missing_ok=True)
    if len(boots) > MOST_BOOTS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"{len(boots)} boots of servers, and {MOST_BOOTS} are the most: {boots}", red=True)


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A real control plane with our CRDs; ``apiserver.layout.kubeconfig`` is its administrator's."""
    server = ApiServer(tmp_path_factory.mktemp("apiserver"))
    try:
        server.up()
        yield server
    finally:
        server.down()
