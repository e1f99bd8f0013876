"""Everything that is generated from the models: CRDs (plain and for the chart), the XRD, rights, and docs/api.md.

Border: pure functions from models to plain data; ``__main__`` alone writes files. What it writes is committed, and a
test fails when it is out of date. Who needs the CRDs at run time (the sandbox, tests) calls ``crds()``: no file has to
be found, and an installed wheel has them too.
Neighbours: ``registry`` lists the kinds, ``rights`` who may do what; the output is ``compositions/definition.yaml``,
``deploy/crds``, templates and files of ``deploy/helm/metalplane``, docs/api.md.

``structural`` turns a model into Kubernetes' structural OpenAPI, ``columns`` says what ``kubectl get`` prints, ``crd``
makes the CRD of a kind, ``xrd`` the composite's definition and, by Crossplane's rules, its CRD; ``reference`` writes
prose.
"""

from provider.api.generation.crd import crds
from provider.api.generation.xrd import definition

__all__ = ["crds", "definition"]
