"""What may come next on a command line: for the shells' completion. Pure but for the names, which it is given.

A verb's parser tells what there is; of arguments that are names of something (``Parser.names_of``) the names come from
``Names``, which asks the cluster.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence

from bmctl import arguments, verbs
from bmctl.errors import BmctlError

Names = Callable[[str, argparse.Namespace], Iterable[str]]
"""Names of a noun (machine, server, disk, ...), as far as the words before tell which."""

_OF_OPTIONS = {"namespace": "namespace", "context": "context", "cluster": "cluster", "user": "user"}
_FILES = frozenset({"kubeconfig", "certificate_authority", "ssh_key", "user_data", "directory", "identity", "file"})
FILE = ":file"
"""In place of words: the shell completes a path itself."""


def candidates(words: Sequence[str], names: Names) -> list[str]:
    """Words that the last of ``words`` (which may be empty) can become. Those before it are whole."""
    *before, last = words or [""]
    verb, rest = _split(before)
    if verb is None:
        options = arguments.Parser("bmctl")
        arguments.add_common(options)
        return _fitting(options, before, last, verbs.names(), names)
    known = verbs.find(verb)
    if known is None:
        return []
    parser = arguments.of_verb(f"bmctl {verb}", known.load())
    return _fitting(parser, rest, last, None, names)


def _split(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The verb, and all other words: options may stand before it too."""
    options = arguments.Parser("bmctl")
    arguments.add_common(options)
    skip = False
    for position, word in enumerate(words):
        if skip:
            skip = False
        elif word.startswith("-"):
            action = _option(options, word)
            skip = action is not None and action.nargs is None and "=" not in word
        else:
            return word, [*words[:position], *words[position + 1 :]]
    return None, list(words)


def _option(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    return parser._option_string_actions.get(word.partition("=")[0])


def _fitting(
    parser: arguments.Parser, before: Sequence[str], last: str, first_words: Sequence[str] | None, names: Names
) -> list[str]:
    waiting = _waiting(parser, before)
    prefix = ""
    if waiting is None and last.startswith("--") and "=" in last:
        waiting, prefix = _option(parser, last), last.partition("=")[0] + "="
        last = last.removeprefix(prefix)
    if waiting is not None:
        found = _values(parser, waiting, before, names)
    elif last.startswith("-"):
        found = [flag for flag in parser._option_string_actions if flag.startswith("--")]
    elif first_words is not None:
        found = list(first_words)
    else:
        positional = _positional(parser, before)
        found = [] if positional is None else _values(parser, positional, before, names)
    if found == [FILE]:
        return found
    return sorted({f"{prefix}{word}" for word in found if word.startswith(last)})


def _waiting(parser: argparse.ArgumentParser, before: Sequence[str]) -> argparse.Action | None:
    """The option that still wants its value."""
    action = _option(parser, before[-1]) if before and before[-1].startswith("-") and "=" not in before[-1] else None
    return action if action is not None and action.nargs is None and action.type is not bool else None


def _positional(parser: argparse.ArgumentParser, before: Sequence[str]) -> argparse.Action | None:
    given, skip = 0, False
    for word in before:
        action = _option(parser, word) if word.startswith("-") else None
        if skip or word.startswith("-"):
            skip = action is not None and action.nargs is None and "=" not in word
        else:
            given += 1
    positionals = [action for action in parser._actions if not action.option_strings]
    return positionals[given] if given < len(positionals) else None


def _values(parser: arguments.Parser, action: argparse.Action, before: Sequence[str], names: Names) -> list[str]:
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if action.dest in _FILES:
        return [FILE]
    if action.dest == "output":
        return ["json", "yaml", "name", "wide"] if "wide" in (action.help or "") else ["json", "yaml"]
    if action.dest == "wanted":
        return ["Ready", "Running", "Stopped", "delete"]
    noun = parser.names_of.get(action.dest) or _OF_OPTIONS.get(action.dest)
    if noun is None:
        return []
    try:
        return list(names(noun, _so_far(parser, before)))
    except BmctlError:
        return []


def _so_far(parser: arguments.Parser, before: Sequence[str]) -> argparse.Namespace:
    """What the words before say, as far as they make sense; what is missing is None."""
    args = argparse.Namespace()
    words = list(before)
    positionals = [action for action in parser._actions if not action.option_strings]
    while words:
        word = words.pop(0)
        action = _option(parser, word) if word.startswith("-") else (positionals.pop(0) if positionals else None)
        if action is None:
            continue
        if not word.startswith("-"):
            setattr(args, action.dest, word)
        elif action.nargs is None:
            value = word.partition("=")[2] or (words.pop(0) if words else "")
            appended = isinstance(getattr(args, action.dest, None), list) or action.dest == "as_groups"
            setattr(args, action.dest, [*getattr(args, action.dest, []), value] if appended else value)
        else:
            setattr(args, action.dest, True)
    return args
