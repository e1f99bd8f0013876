"""helm and kubeconform, built from one Go module: ``python -m tests.tools.charts.program`` builds them now."""

from pathlib import Path

from sandbox.gomodule import GoModule

_DIRECTORY = Path(__file__).parent

HELM = GoModule("charts-helm", "Helm, for tests", _DIRECTORY, ("helm",), package="helm.sh/helm/v4/cmd/helm")
KUBECONFORM = GoModule(
    name="charts-kubeconform",
    title="kubeconform, for tests",
    directory=_DIRECTORY,
    programs=("kubeconform",),
    package="github.com/yannh/kubeconform/cmd/kubeconform",
)

if __name__ == "__main__":
    for module in (HELM, KUBECONFORM):
        print(module.build())
