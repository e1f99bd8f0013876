"""``bmctl image list``: what machines can boot from."""

from argparse import Namespace
from typing import Any

from bmctl import listing
from bmctl.arguments import Parser, connect
from bmctl.output import age, table, timestamp

Json = dict[str, Any]

DESCRIPTION = """\
List images that machines can boot from, and whether this namespace may clone them."""
EXAMPLES = ("bmctl image list", "bmctl image list -n tenant-a -o wide")


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.add_argument("action", choices=("list",), help="what to do")
    parser.named("image", parser.add_argument("image_name", metavar="image", nargs="?", help="one image; all without"))
    listing.declare(parser, "os=debian")


def run(args: Namespace) -> None:
    """Do it."""
    from provider.api.resources import MACHINEIMAGE

    cluster = connect(args)
    wide = args.output == "wide"
    header = ["NAME", "SIZE", "GRANTED", "AGE", *(["SHA256", "NAMESPACES"] if wide else [])]

    def tabulate(images: list[Json]) -> str:
        return table(header, [row(image, cluster.namespace, wide=wide) for image in images])

    listing.run(args, cluster, MACHINEIMAGE, "image", tabulate, name=args.image_name)


def row(image: Json, namespace: str, *, wide: bool) -> list[str]:
    """One image's cells."""
    spec = image["spec"]
    allowed = spec.get("allowedNamespaces", ())
    cells = [
        image["metadata"]["name"],
        mebibytes(spec["sizeBytes"]),
        "yes" if "*" in allowed or namespace in allowed else "no",
        age(timestamp(image["metadata"].get("creationTimestamp"))),
    ]
    return [*cells, spec["sha256"], ",".join(allowed)] if wide else cells


def mebibytes(size_bytes: int) -> str:
    """A size, rounded up to what a disk has to be at least."""
    for suffix, unit in (("Gi", 2**30), ("Mi", 2**20)):
        if size_bytes >= 10 * unit or (suffix == "Gi" and size_bytes % unit == 0):
            return f"{-(-size_bytes // unit)}{suffix}"
    return f"{-(-size_bytes // 2**20)}Mi"
