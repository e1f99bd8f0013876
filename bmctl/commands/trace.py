"""``bmctl trace``: the trace of a machine's provisioning as a waterfall."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from bmctl.arguments import Parser, add_output, connect
from bmctl.errors import BmctlError
from bmctl.output import DETAIL_FORMS, document, remark
from provider.runtime.tracefiles import Span

DESCRIPTION = """\
Draw the trace of a machine's provisioning. Its spans come from bm-api, or from OTLP-JSON files where --from or
METALPLANE_TRACES names their directory."""
EXAMPLES = (
    "bmctl trace bm-01 --depth 1",
    "bmctl trace bm-01 --from .sandbox/trace -n tenant-a -o json",
)

_WIDTH_IN_A_PIPE = 140


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.add_argument(
        "--from",
        dest="directory",
        type=Path,
        metavar="DIR",
        default=os.environ.get("METALPLANE_TRACES") or None,
        help="directory of OTLP-JSON files, one export request a line (default: $METALPLANE_TRACES)",
    )
    parser.add_argument(
        "--all",
        dest="all_spans",
        action="store_true",
        help="also what came after the machine first answered, such as drift checks",
    )
    parser.add_argument(
        "--depth", type=_depth, metavar="N", help="fold spans nested deeper than this; (+N) counts them"
    )
    add_output(parser, *DETAIL_FORMS)


def _depth(text: str) -> int:
    from argparse import ArgumentTypeError

    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no depth: write 0 or more")
    return int(text)


def run(args: Namespace) -> None:
    """Do it."""
    import dataclasses
    import shutil

    from bmctl.waterfall import render

    spans = _spans(args)
    shown = spans if args.all_spans else until_answered(spans)
    if args.output:
        print(document([dataclasses.asdict(span) for span in shown], args.output))
        return
    width = shutil.get_terminal_size((_WIDTH_IN_A_PIPE, 0)).columns
    print("\n".join(render(shown, width=width, deepest=args.depth)))
    if len(shown) < len(spans):
        remark(f"{len(spans) - len(shown)} later spans are left out; --all shows them.")


def _spans(args: Namespace) -> list[Span]:
    from bmctl import spans as reading
    from bmctl.cluster import path
    from provider.api import subresources
    from provider.api.resources import BAREMETALMACHINE

    cluster: Any = connect(args)
    if args.directory is None:
        attempt = f"Reading the trace of {cluster.namespace}/{args.name}"
        where = path(subresources.MACHINE, cluster.namespace, args.name, subresources.TRACE)
        told = cluster.read(where, attempt)
        spans = reading.of_api(told)
        trace_id = told.get("traceId", "")
        cause = "the API has no span of it"
        next_step = "Look it up in your OpenTelemetry back end, or name a directory of files with --from."
    else:
        machine = cluster.get(BAREMETALMACHINE, args.name, cluster.namespace)
        # The trace id of a provisioning is the machine's UID: both have 128 bits.
        trace_id = machine["metadata"]["uid"].replace("-", "")
        spans = reading.read(Path(args.directory), trace_id)
        cause = f"no file in {args.directory} has a span of it"
        next_step = "Check that provider and agent run with --trace-dir set to this directory."
    if not spans:
        raise BmctlError(f"Reading the trace {trace_id} of {args.name}", cause, next_step)
    return spans


def until_answered(spans: list[Span]) -> list[Span]:
    """The spans that began before the provisioning ended: before the end of its root span, once there is one."""
    roots = [span for span in spans if not span.parent_span_id]
    if not roots:
        return spans
    end_ns = max(span.end_ns for span in roots)
    return [span for span in spans if span.start_ns <= end_ns]
