"""The kinds of ``metalplane.io/v1alpha1`` as pydantic models: the one source of CRDs, XRD, OpenAPI and docs/api.md.

Border: pure data. Imports nothing of ours and does no I/O; every other package may import it.
Neighbours: ``resources`` says where every kind is found (ours and the Kubernetes ones we use), ``registry`` joins ours
with their models; ``names`` holds labels, annotations, finalizers and derived names; ``conditions`` and ``reasons`` the
vocabulary of status.
"""

GROUP = "metalplane.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
