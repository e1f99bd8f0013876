"""Fixtures of the chart's tests: the tools, and a cluster that has never heard of metalplane."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.apiserver import ApiServer
from tests.integration.deploy.helm import NAMESPACE, RELEASE, VALUES, Helm
from tests.integration.rest import Rest
from tests.tools.charts.program import HELM, KUBECONFORM


@pytest.fixture(scope="session")
def helm_program() -> Path:
    return HELM.build() / "helm"


@pytest.fixture(scope="session")
def kubeconform() -> Path:
    return KUBECONFORM.build() / "kubeconform"


@pytest.fixture(scope="session")
def helm(helm_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """helm without a cluster: what it renders comes from chart and values alone."""
    return Helm(helm_program, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A control plane without our kinds."""
    server = ApiServer(tmp_path_factory.mktemp("cluster"))
    try:
        server.up(kinds=False)
        yield server
    finally:
        server.down()


@pytest.fixture(scope="session")
def cluster_rest(cluster: ApiServer) -> Rest:
    return Rest(cluster)


@pytest.fixture(scope="session")
def operator(helm: Helm, cluster: ApiServer) -> Helm:
    """helm as the cluster's administrator."""
    return Helm(helm.program, helm.home, cluster.layout.kubeconfig)


@pytest.fixture(scope="module")
def release(operator: Helm) -> Iterator[Helm]:
    """The chart, installed; gone at the end of the file but for what it keeps."""
    operator.install(VALUES)
    yield operator
    operator.done("uninstall", RELEASE, f"--namespace={NAMESPACE}")
