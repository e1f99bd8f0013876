"""The verbs: a table of names, so that help and completion know all of them and import none."""

from importlib import import_module
from typing import Any, NamedTuple


class Verb(NamedTuple):
    """One verb. ``line`` stands beside it in the list of verbs; ``module`` declares and runs it."""

    name: str
    line: str
    module: str

    def load(self) -> Any:
        """Its module, with ``DESCRIPTION``, ``EXAMPLES``, ``declare(parser)`` and ``run(args)``."""
        return import_module(f"bmctl.commands.{self.module}")


def _verb(name: str, line: str, module: str = "") -> Verb:
    return Verb(name, line, module or name.replace("-", "_"))


GROUPS: dict[str, tuple[Verb, ...]] = {
    "Machines": (
        _verb("create", "create a machine from options, or print it as YAML"),
        _verb("get", "list machines, or show one"),
        _verb("describe", "show one machine with its children, and the one that everything waits for"),
        _verb("wait", "wait until a machine is what is asked for"),
        _verb("top", "show live what is under way"),
        _verb("trace", "draw the trace of a machine's provisioning"),
    ),
    "Power": (
        _verb("start", "power a machine on"),
        _verb("stop", "shut a machine down"),
        _verb("restart", "shut a machine down and power it on again"),
        _verb("reset", "reset a machine's processor; the power stays on"),
    ),
    "Consoles": (
        _verb("console", "open the serial console of a machine, or of a server"),
        _verb("logs", "print what the serial console showed"),
        _verb("ssh", "log in to a machine by ssh"),
    ),
    "Disks and NICs": (
        _verb("addvolume", "add a disk to a machine, also while it runs"),
        _verb("removevolume", "take a disk from a machine, also while it runs"),
        _verb("expand", "grow a disk of a machine, also while it runs"),
        _verb("addnic", "add a network interface to a machine, also while it runs"),
        _verb("removenic", "take a network interface from a machine, also while it runs"),
    ),
    "Operators": (
        _verb("servers", "list servers: who holds them, power, health"),
        _verb("power", "show the power of a server as its BMC says, or switch it"),
        _verb("cordon", "keep new machines off a server"),
        _verb("uncordon", "let new machines onto a server again"),
        _verb("image", "list images that machines can boot from"),
        _verb("orphans", "list what no object claims on DPUs and in the storage, and remove it"),
        _verb("support-bundle", "pack what somebody needs who helps from afar, without secrets"),
    ),
    "bmctl": (
        _verb("version", "show the versions of bmctl, the API server and the DPUs' agents"),
        _verb("completion", "print the completion script for a shell"),
    ),
}

_HIDDEN = (_verb("__complete", "what may come next on a command line", "complete"),)
_BY_NAME = {verb.name: verb for verbs in (*GROUPS.values(), _HIDDEN) for verb in verbs}


def names() -> list[str]:
    """All verbs that a user may call."""
    return [verb.name for verbs in GROUPS.values() for verb in verbs]


def find(name: str) -> Verb | None:
    """The verb of that name."""
    return _BY_NAME.get(name)
