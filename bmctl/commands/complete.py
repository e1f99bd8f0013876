"""``bmctl __complete WORD...``: what the shells' scripts call. Never an error: it would stand in the prompt."""

import sys
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from bmctl.arguments import connect
from bmctl.errors import BmctlError

_ANSWER_WITHIN_S = 3.0


def run(words: list[str]) -> None:
    """Print what the last of ``words`` can become, a line each."""
    for word in _candidates(words):
        print(word)


def for_kubectl() -> None:
    """Run ``kubectl_complete-bm``, which kubectl calls for ``kubectl bm WORD...`` as it would call a cobra program.

    The last line is cobra's ``ShellCompDirective``: 4 for nothing but these, 0 for files.
    """
    from bmctl.candidates import FILE

    found = _candidates(sys.argv[1:])
    print("\n".join([":0"] if found == [FILE] else [*found, ":4"]))


def _candidates(words: list[str]) -> list[str]:
    from bmctl.candidates import candidates

    with suppress(BmctlError, OSError):
        return list(candidates([_plain(word) for word in words], names))
    return []


def _plain(word: str) -> str:
    """What a shell will make of a word, which it gives us as it was typed: in quotes, perhaps."""
    import shlex

    try:
        return "".join(shlex.split(word))
    except ValueError:
        return word


def names(noun: str, args: Namespace) -> Iterable[str]:
    """Names of a noun in the cluster, or in the kubeconfig."""
    if noun == "context":
        import os

        from provider.runtime.errors import ConfigurationError
        from provider.runtime.kubeconfig import contexts

        with suppress(ConfigurationError):
            return contexts(getattr(args, "kubeconfig", None), os.environ)
        return []
    args.request_timeout = _ANSWER_WITHIN_S
    args.verbose = False
    cluster = connect(args)
    if noun in ("disk", "nic"):
        return _of_machine(cluster, args, "disks" if noun == "disk" else "networkInterfaces")
    if noun == "machine or server":
        return [*_listed(cluster, "machine"), *(f"server/{name}" for name in _listed(cluster, "server"))]
    return _listed(cluster, noun)


def _listed(cluster: Any, noun: str) -> list[str]:
    """Names of all objects of a kind, as far as this user may see them."""
    resource = _resources().get(noun)
    if resource is None:
        return []
    try:
        objects = cluster.list(resource, cluster.namespace if resource.namespaced else None)
    except BmctlError:
        return []
    return [obj["metadata"]["name"] for obj in objects]


def _resources() -> dict[str, Any]:
    from provider.api import resources as api

    return {
        "machine": api.BAREMETALMACHINE,
        "server": api.SERVER,
        "image": api.MACHINEIMAGE,
        "network": api.NETWORK,
        "instancetype": api.INSTANCETYPE,
        "namespace": api.NAMESPACE,
    }


def _of_machine(cluster: Any, args: Namespace, field: str) -> list[str]:
    from provider.api.resources import BAREMETALMACHINE

    name = getattr(args, "name", None)
    if not name:
        return []
    machine = cluster.get(BAREMETALMACHINE, name, cluster.namespace)
    return [item["name"] for item in machine["spec"].get(field, ())]
