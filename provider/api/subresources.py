"""The group that bm-api serves beside the kinds: verbs of machines and servers, as sub-resources of their names.

What the routes serve and what RBAC grants is named here once. No model is imported, so a client that only asks starts
quickly.
"""

from provider.api.names import INSTALLATION_NAMESPACE
from provider.api.resources import BAREMETALMACHINE, SERVER, ResourceType

GROUP = "subresources.metalplane.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
API_SERVICE = f"{VERSION}.{GROUP}"
"""Name of the APIService."""

SERVICE = "metalplane-api"
"""The Service that the APIService names, in the installation namespace; field manager and User-Agent of bm-api too."""

PEERS_SECRET = "metalplane-api-peers"  # noqa: S105  (its name)
"""Secret of the installation namespace by which replicas know each other."""

MACHINE = ResourceType(GROUP, VERSION, BAREMETALMACHINE.plural, BAREMETALMACHINE.kind, True)
POWERED_SERVER = ResourceType(GROUP, VERSION, SERVER.plural, SERVER.kind, False)
"""Machines and servers as this group knows them: paths of their sub-resources, and RBAC's names for these."""

START = "start"
STOP = "stop"
RESTART = "restart"
RESET = "reset"
ADDVOLUME = "addvolume"
REMOVEVOLUME = "removevolume"
ADDNIC = "addnic"
REMOVENIC = "removenic"
EXPAND = "expand"
TRACE = "trace"
SERIALLOG = "seriallog"
CONSOLE = "console"
POWER = "power"

MACHINE_CHANGES = (START, STOP, RESTART, RESET, ADDVOLUME, REMOVEVOLUME, ADDNIC, REMOVENIC, EXPAND)
"""What is posted to a machine: ``create`` in RBAC."""

MACHINE_READS = (TRACE, SERIALLOG)
"""What is only read of a machine: ``get`` in RBAC."""


def service_host(namespace: str = INSTALLATION_NAMESPACE) -> str:
    """The name that the API server, and each replica, asks of bm-api's certificate: ``<service>.<namespace>.svc``.

    (kube-aggregator ``pkg/apiserver/handler_proxy.go``: it is the TLS server name whatever address is dialled.)
    """
    return f"{SERVICE}.{namespace}.svc"
