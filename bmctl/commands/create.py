"""``bmctl create``: a machine from options."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from bmctl import acting
from bmctl.arguments import Parser, add_output, add_waiting, connect
from bmctl.errors import ConflictError, UsageError

Json = dict[str, Any]

DESCRIPTION = """\
Create a machine and wait until it runs. What the options mean is checked before anything is made; with
--dry-run=client it is printed as YAML for `kubectl apply`, with --dry-run=server the API server checks it too."""
EXAMPLES = (
    "bmctl create bm-01 --instance-type small --image debian-12 --size 20Gi --nic network=tenant-a",
    """bmctl create bm-01 --server-selector rack=r7 --image debian-12 --size 20Gi \\
      --disk name=data,size=100Gi --nic name=eth0,network=tenant-a,address=10.20.0.11/24 \\
      --ssh-key ~/.ssh/id_ed25519.pub --user-data cloud-config.yaml""",
    "bmctl create bm-01 --instance-type small --image debian-12 --size 20Gi --dry-run=client > bm-01.yaml",
)


def declare(parser: Parser) -> None:
    """Its arguments."""
    parser.add_argument("name", help="name of the new machine")
    types = parser.add_argument("--instance-type", metavar="NAME", help="instance type that a server must fit")
    parser.named("instancetype", types)
    parser.add_argument("--server-selector", metavar="LABELS", help="or labels of the servers to choose from: rack=r7")
    image = parser.add_argument("--image", required=True, metavar="NAME", help="image that it boots a clone of")
    parser.named("image", image)
    parser.add_argument("--size", required=True, metavar="SIZE", help="size of the boot disk, such as 20Gi")
    parser.add_argument("--storage-class", metavar="NAME", help="storage class of the boot disk")
    parser.add_argument(
        "--disk",
        action="append",
        default=[],
        metavar="FIELDS",
        help="a data disk: name=data,size=100Gi[,image=NAME][,storageClass=NAME][,keep=true|false]; repeatable",
    )
    parser.add_argument(
        "--nic",
        action="append",
        default=[],
        metavar="FIELDS",
        help="an interface: network=tenant-a[,name=eth0][,address=CIDR][,mac=MAC]; repeatable",
    )
    parser.add_argument(
        "--ssh-key", action="append", default=[], type=Path, metavar="FILE", help="public SSH keys; repeatable"
    )
    parser.add_argument("--user-data", type=Path, metavar="FILE", help="cloud-init user data; becomes a Secret")
    parser.add_argument("--user-data-secret", metavar="NAME", help="or a Secret that has it, under the key userData")
    parser.add_argument("--run-strategy", choices=("Always", "Manual", "Halted"), help="what becomes of its power")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="a label; repeatable")
    parser.add_argument(
        "--dry-run", choices=("none", "client", "server"), default="none", help="print it, or have it checked, only"
    )
    add_output(parser, "json", "yaml", "name", "jsonpath=EXPR")
    add_waiting(parser, "it runs")


def run(args: Namespace) -> None:
    """Do it."""
    from bmctl import manifest

    if args.user_data and args.user_data_secret:
        raise UsageError("Reading the arguments", "give either --user-data or --user-data-secret", "Leave one out.")
    text = manifest.user_data(str(args.user_data), args.user_data.read_bytes()) if args.user_data else None
    secret = f"{args.name}-user-data" if text is not None else args.user_data_secret
    cluster = None if args.dry_run == "client" else connect(args)
    namespace = cluster.namespace if cluster else getattr(args, "namespace", None)
    machine = manifest.machine(_wanted(args, namespace, secret))
    if cluster is None:
        objects = [machine]
        if text is not None:
            objects.insert(0, manifest.user_data_secret(secret, namespace, text))
        _print(objects, args.output or "yaml")
        return
    _create(args, cluster, machine, text)


def _wanted(args: Namespace, namespace: str | None, secret: str | None) -> Any:
    from bmctl import manifest

    keys = [key for file in args.ssh_key for key in manifest.ssh_keys(str(file), file.expanduser().read_text())]
    return manifest.Wanted(
        name=args.name,
        namespace=namespace,
        image=args.image,
        size=args.size,
        instance_type=args.instance_type,
        server_selector=args.server_selector,
        storage_class=args.storage_class,
        disks=args.disk,
        nics=args.nic,
        ssh_keys=keys,
        user_data_secret=secret,
        run_strategy=args.run_strategy,
        labels=args.label,
    )


def _create(args: Namespace, cluster: Any, machine: Json, user_data: str | None) -> None:
    """The Secret is made last, so that it can be owned; that it can be made is asked first."""
    from bmctl import goals, manifest
    from provider.api.resources import BAREMETALMACHINE, SECRET

    dry = args.dry_run == "server"
    secret = f"{args.name}-user-data"
    if user_data is not None:
        try:
            cluster.create(SECRET, manifest.user_data_secret(secret, cluster.namespace, user_data), dry_run=True)
        except ConflictError as error:
            raise ConflictError(
                error.attempt, error.cause, f"Use it as it is with --user-data-secret {secret}, or delete it first."
            ) from error
    made = cluster.create(BAREMETALMACHINE, machine, dry_run=dry)
    if user_data is not None and not dry:
        cluster.create(SECRET, manifest.user_data_secret(secret, cluster.namespace, user_data, made))
    if args.output:
        _print([made], args.output)
    else:
        print(f"baremetalmachine.metalplane.io/{args.name} created{' (server dry run)' if dry else ''}", flush=True)
    if dry or args.no_wait:
        return
    goal = goals.stopped() if args.run_strategy in ("Manual", "Halted") else goals.running()
    if args.output:
        # What was printed is for a program, which reads no more than that.
        with _to_standard_error():
            acting.follow(args, cluster, goal)
    else:
        acting.follow(args, cluster, goal)


def _to_standard_error() -> Any:
    from contextlib import redirect_stdout

    sys.stdout.flush()
    return redirect_stdout(sys.stderr)


def _print(objects: list[Json], form: str) -> None:
    from bmctl import output

    if form == "yaml":
        print("\n---\n".join(output.document(obj, "yaml") for obj in objects), flush=True)
    else:
        output.show(output.objects(objects, form, single=len(objects) == 1), form)
