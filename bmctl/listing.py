"""What verbs that list objects have in common: one by its name, or all, or those that labels select."""

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bmctl.arguments import Parser, add_output
from bmctl.errors import UsageError
from bmctl.output import OBJECT_FORMS, is_table, objects, remark, show

if TYPE_CHECKING:
    from bmctl.cluster import Cluster
    from provider.api.resources import ResourceType

Json = dict[str, Any]


def declare(parser: Parser, example: str) -> None:
    """``-l``, with labels for an example, and ``-o``."""
    parser.add_argument("-l", "--selector", metavar="LABELS", default="", help=f"labels, such as {example}")
    add_output(parser, *OBJECT_FORMS)


def check(name: str | None, args: Namespace) -> None:
    """Raises ``UsageError`` where both a name and labels say which."""
    if name is not None and args.selector:
        raise UsageError("Reading the arguments", "give either a name or labels", "Leave one of them out.")


def run(
    args: Namespace,
    cluster: "Cluster",
    resource: "ResourceType",
    noun: str,
    tabulate: Callable[[list[Json]], str],
    *,
    name: str | None,
    namespace: str | None = None,
) -> None:
    """Print the object of that name, or those that ``-l`` selects: of a namespace, or of all where it is None."""
    check(name, args)
    if name is not None:
        found = [cluster.get(resource, name, namespace)]
    else:
        found = cluster.list(resource, namespace, labels=args.selector)
    if not found and (is_table(args.output) or args.output == "name"):
        remark(f"No {noun}s found{f' in namespace {namespace}' if namespace else ''}.")
    elif is_table(args.output):
        print(tabulate(found))
    else:
        show(objects(found, args.output, single=name is not None), args.output)
