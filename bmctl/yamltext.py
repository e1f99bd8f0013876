"""Objects as YAML that people read: keys in order, lines as long as they are, texts of many lines as such. Pure."""

from typing import Any

import yaml

_WIDEST = 1 << 20


class _Dumper(yaml.SafeDumper):
    """Writes texts of many lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dump(data: Any) -> str:
    """One document, without the end of its last line."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=_WIDEST, allow_unicode=True)).rstrip()
