"""``bmctl power``: the power of a server, for its operator."""

import time
from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Any, get_args

from bmctl import acting
from bmctl.arguments import Parser, add_output, connect
from bmctl.commands.stop import add_grace_period
from bmctl.errors import BmctlError, ConflictError, TimedOutError, UnreachableError, UsageError
from bmctl.output import DETAIL_FORMS, document, remark, table
from provider.api.resettype import RequestedReset

if TYPE_CHECKING:
    from bmctl.cluster import Cluster

Json = dict[str, Any]

DESCRIPTION = """\
Show the power of a server as its BMC says now, the machine that holds it, and how far the last request of power is.
With an action, one of Redfish's ResetTypes, that machine's power is switched, whichever tenant's it is, and bmctl waits
until that is done. The power of a server that no machine holds is shown and cannot be switched."""
EXAMPLES = (
    "bmctl power server-07",
    "bmctl power server-07 -o json",
    "bmctl power server-07 GracefulRestart --grace-period 300",
    "bmctl power server-07 ForceOff --no-wait",
)

_ACTIONS: tuple[str, ...] = get_args(RequestedReset)
_LOOK_EVERY_S = 2.0
"""Whenever it is looked at, the BMC is asked, and BMCs are slow."""
_TICK_S = 0.1


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.server()
    parser.add_argument(
        "action",
        metavar="action",
        nargs="?",
        type=_action,
        choices=_ACTIONS,
        help=f"{', '.join(_ACTIONS)}; without, the power is shown",
    )
    add_grace_period(parser)
    acting.declare_options(parser, "it is done")
    add_output(parser, *DETAIL_FORMS)


def _action(text: str) -> str:
    """In whatever case it was written."""
    for action in _ACTIONS:
        if action.lower() == text.lower():
            return action
    raise ArgumentTypeError(f"{text!r} is none of {', '.join(_ACTIONS)}")


def run(args: Namespace) -> None:
    """Do it."""
    if args.action is None:
        _check(args)
        _show(args, _report(connect(args), args.server_name))
    elif args.output:
        raise UsageError("Reading the arguments", f"-o {args.output} is for a power that is shown", "Leave one out.")
    else:
        _switch(args, connect(args))


def _check(args: Namespace) -> None:
    """What says how something is done says nothing where nothing is."""
    given = {"--grace-period": args.grace_period is not None, "--dry-run": args.dry_run, "--no-wait": args.no_wait}
    for flag in (flag for flag, is_given in given.items() if is_given):
        raise UsageError("Reading the arguments", f"{flag} needs an action", f"Write one of {', '.join(_ACTIONS)}.")


def _report(cluster: "Cluster", name: str) -> Json:
    """The PowerReport of a server."""
    from bmctl.cluster import path
    from provider.api import subresources

    where = path(subresources.POWERED_SERVER, None, name, subresources.POWER)
    return cluster.read(where, f"Reading the power of Server {name}")


def _show(args: Namespace, report: Json) -> None:
    if args.output:
        print(document(report, args.output))
        return
    cells = [args.server_name, report.get("machine") or "", report["state"], _told(report.get("request") or {})]
    print(table(["NAME", "HELD-BY", "POWER", "LAST-REQUEST"], [cells]))
    if report.get("message"):
        remark(report["message"])


def _told(request: Json) -> str:
    return ": ".join(part for part in (request.get("phase"), request.get("message")) if part)


def _switch(args: Namespace, cluster: "Cluster") -> None:
    from provider.api import subresources

    options: Json = {"kind": "PowerOptions", "action": args.action}
    if args.grace_period is not None:
        options["gracePeriodSeconds"] = args.grace_period
    result = cluster.act(
        subresources.POWER,
        args.server_name,
        options,
        f"Asking for {args.action} of Server {args.server_name}",
        resource=subresources.POWERED_SERVER,
        dry_run=args.dry_run,
    )
    acting.tell(args, args.server_name, result)
    if not args.dry_run and not args.no_wait:
        report = _follow(args, cluster, result["requestId"])
        print(f"{args.server_name}: {args.action} is done, its power is {report['state']}")


def _follow(args: Namespace, cluster: "Cluster", request_id: str) -> Json:
    """The report by which the request was carried out.

    The machine is its tenant's, and an operator need not be able to see it: bm-api is asked, again and again.
    """
    from bmctl.progress import Progress, State

    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    look_at = 0.0
    with Progress(args.server_name) as progress:
        while deadline is None or time.monotonic() < deadline:
            if time.monotonic() < look_at:
                progress.tick()
                time.sleep(_TICK_S)
                continue
            try:
                report = _report(cluster, args.server_name)
            except UnreachableError as error:
                # What was asked for goes on without us, and without bm-api too.
                progress.show(State("Waiting", error.cause))
            else:
                request = _request(args, report, request_id)
                progress.show(State(request["phase"], request.get("message") or report.get("message") or ""))
                if request["phase"] == "Succeeded":
                    return report
            look_at = time.monotonic() + _LOOK_EVERY_S
    raise TimedOutError(
        f"Waiting until {args.action} of Server {args.server_name} is done",
        f"not within {args.timeout:g} s; it is {progress.last or 'not seen yet'}",
        f"It goes on. `bmctl power {args.server_name}` tells how far it is.",
    )


def _request(args: Namespace, report: Json, request_id: str) -> Json:
    """How far our request is. Raises ``BmctlError`` where it will never be done."""
    attempt = f"Waiting until {args.action} of Server {args.server_name} is done"
    look = f"`bmctl power {args.server_name}` tells how it stands."
    request: Json = report.get("request") or {}
    if not report.get("machine"):
        raise ConflictError(attempt, "the machine that held the server is gone, and the request with it", look)
    if request.get("id") != request_id:
        raise BmctlError(attempt, "a newer request of power took the place of this one", look)
    if request["phase"] == "Failed":
        raise BmctlError(attempt, request.get("message") or "the request failed", look)
    return request
