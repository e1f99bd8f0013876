"""Fixtures of the tests that run Argo CD, built once a machine."""

from pathlib import Path

import pytest

from tests.tools.argocd.program import ARGOCD


@pytest.fixture(scope="session")
def programs() -> Path:
    """The directory of Argo CD's programs."""
    return ARGOCD.build()
