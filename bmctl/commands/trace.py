"""``bmctl trace``: the trace of a machine's provisioning as a waterfall."""

import dataclasses
import shutil
from pathlib import Path
from typing import Annotated

import typer

from bmctl import spans as span_files
from bmctl.commands.options import Context, Detail, Kubeconfig, MachineName, Namespace, connect
from bmctl.errors import BmctlError
from bmctl.output import DetailFormat, document
from bmctl.waterfall import render

_WIDTH_IN_A_PIPE = 140


def trace(
    name: MachineName,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Directory of OTLP-JSON files (one export request a line).",
            envvar="METALPLANE_TRACES",
            show_envvar=True,
        ),
    ] = None,
    all_spans: Annotated[
        bool, typer.Option("--all", help="Also what came after the machine first answered, such as drift checks.")
    ] = False,
    depth: Annotated[
        int | None, typer.Option("--depth", min=0, help="Fold spans nested deeper than this; (+N) counts them.")
    ] = None,
    output: Detail = DetailFormat.TEXT,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Draw the trace of a machine's provisioning.

    \b
    Examples:
      bmctl trace bm-01 --from .sandbox/trace --depth 1
      METALPLANE_TRACES=.sandbox/trace bmctl trace bm-01 -n tenant-a -o json
    """
    from provider.api.resources import BAREMETALMACHINE

    if directory is None:
        raise BmctlError(
            f"Reading the trace of {name}",
            "no directory of traces was named",
            "Name one with --from or METALPLANE_TRACES, or look the trace up in your OpenTelemetry back end.",
        )
    cluster = connect(kubeconfig, context, namespace)
    machine = cluster.get(BAREMETALMACHINE, name, cluster.namespace)
    # The trace id of a provisioning is the machine's UID: both have 128 bits.
    trace_id = machine["metadata"]["uid"].replace("-", "")
    spans = span_files.read(directory, trace_id)
    if not spans:
        raise BmctlError(
            f"Reading the trace {trace_id} of {name}",
            f"no file in {directory} has a span of it",
            "Check that provider and agent run with --trace-dir set to this directory.",
        )
    shown = spans if all_spans else until_answered(spans)
    if output in (DetailFormat.JSON, DetailFormat.YAML):
        typer.echo(document([dataclasses.asdict(span) for span in shown], output))
        return
    width = shutil.get_terminal_size((_WIDTH_IN_A_PIPE, 0)).columns
    typer.echo("\n".join(render(shown, width=width, deepest=depth)))
    if len(shown) < len(spans):
        typer.echo(f"{len(spans) - len(shown)} later spans are left out; --all shows them.", err=True)


def until_answered(spans: list[span_files.Span]) -> list[span_files.Span]:
    """The spans that began before the provisioning ended: before the end of its root span, once there is one."""
    roots = [span for span in spans if not span.parent_span_id]
    if not roots:
        return spans
    end_ns = max(span.end_ns for span in roots)
    return [span for span in spans if span.start_ns <= end_ns]
