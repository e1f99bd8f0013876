"""``bmctl addvolume``: a disk more."""

from argparse import Namespace

from bmctl import acting
from bmctl.arguments import Parser

DESCRIPTION = """\
Add a disk to a machine. A running operating system sees it at once. The disk is written into the machine's spec; with
--ephemeral it is not, and the next stop drops it: so a machine that Argo CD or Flux keeps can be given one too."""
EXAMPLES = (
    "bmctl addvolume bm-01 data --size 100Gi",
    "bmctl addvolume bm-01 scratch --size 20Gi --storage-class lvol --keep=false",
    "bmctl addvolume bm-01 scratch --size 20Gi --ephemeral",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.machine()
    parser.add_argument("disk", help="name of the new disk, unique within the machine")
    parser.add_argument("--size", required=True, type=size, metavar="SIZE", help="size, such as 20Gi")
    parser.named("image", parser.add_argument("--image", metavar="NAME", help="image to clone; a blank disk without"))
    parser.add_argument("--storage-class", metavar="NAME", help="storage class; the cluster's default without")
    parser.add_argument(
        "--keep",
        nargs="?",
        const="true",
        choices=("true", "false"),
        help="whether the volume outlives the machine (default true; false with --ephemeral)",
    )
    parser.add_argument("--ephemeral", action="store_true", help="until the next stop, and not in the machine's spec")
    acting.declare_options(parser, "the disk is plugged in")


def size(text: str) -> str:
    """A quantity of bytes that is more than none."""
    from argparse import ArgumentTypeError

    from provider.api.quantity import parse_bytes

    try:
        if parse_bytes(text) > 0:
            return text
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    raise ArgumentTypeError(f"{text!r} is nothing: write a size such as 20Gi")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import goals

    options = {
        "name": args.disk,
        "size": args.size,
        "image": args.image,
        "storageClass": args.storage_class,
        "keep": None if args.keep is None else args.keep == "true",
        "ephemeral": args.ephemeral or None,
    }
    acting.act(args, "addvolume", options, f"Adding disk {args.disk} to", goals.has_disk(args.disk))
