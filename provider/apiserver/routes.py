"""What bm-api serves, as one table. Router, discovery, OpenAPI and docs/security.md derive from it.

A verb is a POST and so ``create`` on its sub-resource, as with ``pods/eviction``. A websocket arrives as GET, which the
API server asks ``get`` for; who opens a console writes to it, so ``create`` is asked for here as well.
"""

from dataclasses import dataclass
from typing import Literal

from provider.api.subresources import (
    ADDNIC,
    ADDVOLUME,
    CONSOLE,
    EXPAND,
    GROUP,
    POWER,
    REMOVENIC,
    REMOVEVOLUME,
    RESET,
    RESTART,
    SERIALLOG,
    START,
    STOP,
    TRACE,
    VERSION,
)
from provider.apiserver.options import (
    ActionResult,
    AddNicOptions,
    AddVolumeOptions,
    ExpandOptions,
    Options,
    PowerOptions,
    PowerReport,
    RemoveNicOptions,
    RemoveVolumeOptions,
    ResetOptions,
    RestartOptions,
    Result,
    StartOptions,
    StopOptions,
    Trace,
)

PREFIX = f"/apis/{GROUP}/{VERSION}"
Resource = Literal["baremetalmachines", "servers"]
MACHINES: Literal["baremetalmachines"] = "baremetalmachines"
SERVERS: Literal["servers"] = "servers"
Method = Literal["GET", "POST"]
Verb = Literal["get", "create"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query."""

    name: str
    type: Literal["boolean", "integer", "string"]
    about: str


DRY_RUN = Parameter("dryRun", "string", "All: say what would be done, and do nothing.")
_CONSOLE = (
    Parameter("watch", "boolean", "Only read: any number may watch."),
    Parameter("takeover", "boolean", "Write in place of whoever writes now, who watches from then on."),
    Parameter("tailBytes", "integer", "So many bytes of what was printed before are sent first."),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One verb. ``verbs`` are all asked of the authoriser; ``result`` is None for bytes and websockets."""

    method: Method
    resource: Resource
    subresource: str
    about: str
    options: type[Options] | None = None
    result: type[Result] | None = None
    verbs: tuple[Verb, ...] = ("get",)
    parameters: tuple[Parameter, ...] = ()
    websocket: bool = False

    @property
    def namespaced(self) -> bool:
        """Whether its objects are in namespaces."""
        return self.resource == MACHINES

    @property
    def path(self) -> str:
        """URL with ``{namespace}`` and ``{name}``, as OpenAPI and aiohttp both write parameters."""
        place = "/namespaces/{namespace}" if self.namespaced else ""
        return f"{PREFIX}{place}/{self.resource}/{{name}}/{self.subresource}"

    @property
    def kind(self) -> str:
        """Kind that discovery names for it: that of the options, or of the result."""
        model = self.options or self.result
        return _STREAM_KINDS[self.subresource] if model is None else model.__name__


_STREAM_KINDS = {CONSOLE: "Console", SERIALLOG: "SerialLog"}


def _verb(subresource: str, options: type[Options], about: str, resource: Resource = MACHINES) -> Route:
    return Route("POST", resource, subresource, about, options, ActionResult, ("create",), (DRY_RUN,))


ROUTES: tuple[Route, ...] = (
    _verb(START, StartOptions, "Power the machine on."),
    _verb(STOP, StopOptions, "Shut the machine down and power it off."),
    _verb(RESTART, RestartOptions, "Shut the machine down, power it off, and on again."),
    _verb(RESET, ResetOptions, "Reset the machine's hardware."),
    _verb(ADDVOLUME, AddVolumeOptions, "Add a disk, also to a machine that runs."),
    _verb(REMOVEVOLUME, RemoveVolumeOptions, "Remove a disk, also from a machine that runs."),
    _verb(ADDNIC, AddNicOptions, "Add a network interface, also to a machine that runs."),
    _verb(REMOVENIC, RemoveNicOptions, "Remove a network interface, also from a machine that runs."),
    _verb(EXPAND, ExpandOptions, "Make a disk larger, also of a machine that runs."),
    Route(
        "GET",
        MACHINES,
        CONSOLE,
        "The machine's serial console, as a websocket.",
        verbs=("get", "create"),
        parameters=_CONSOLE,
        websocket=True,
    ),
    Route(
        "GET",
        MACHINES,
        SERIALLOG,
        "What the machine printed on its serial console: the last 1 MiB, as bytes.",
        parameters=(Parameter("tailBytes", "integer", "So many bytes, from the end."),),
    ),
    Route("GET", MACHINES, TRACE, "The trace of the machine's provisioning.", result=Trace),
    Route("GET", SERVERS, POWER, "The power of the server, as its BMC says.", result=PowerReport),
    _verb(POWER, PowerOptions, "Switch the power of the machine that holds the server.", SERVERS),
    Route(
        "GET",
        SERVERS,
        CONSOLE,
        "The server's serial console, as a websocket.",
        verbs=("get", "create"),
        parameters=_CONSOLE,
        websocket=True,
    ),
)
