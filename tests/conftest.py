"""Fixtures that more than one directory of tests uses. What a session starts belongs to a directory of its own.

A boot of a server is the dearest thing that a test can ask for, so all of a session are counted, by the chassis
themselves, and too many fail the session.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from sandbox.apiserver import ApiServer

MOST_BOOTS = 10
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


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that booted too often, and say so."""
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
