"""``python -m provider.api.generation [--check]``: write every generated file, or say which are out of date.

Works on the source tree that the package is imported from. Exit codes: 0 all is well; 1 (``--check`` only) some differ.
"""

import argparse
import sys
from pathlib import Path

from provider.api.generation.output import CHART, generated_files

TREE = Path(__file__).resolve().parents[3]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m provider.api.generation",
        description="Write CRDs, XRD, the chart's CRDs and rights, and docs/api.md.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is out of date")
    check = parser.parse_args(arguments).check
    stale = stale_files(TREE)
    for path, text in stale.items():
        if check:
            print(f"{path} is out of date: run `make generate`", file=sys.stderr)
        else:
            _refresh(path, text)
            print(f"refreshed {path}")
    return 1 if check and stale else 0


def stale_files(tree: Path) -> dict[Path, str | None]:
    """Files under ``tree`` that differ, each with the text that it should hold (None: its kind is gone, so it goes)."""
    wanted: dict[Path, str | None] = {tree / path: text for path, text in generated_files().items()}
    ours = (tree / "deploy" / "crds", tree / CHART / "templates" / "crds")
    orphans = (path for directory in ours for path in sorted(directory.glob("*.yaml")) if path not in wanted)
    differing = {path: text for path, text in wanted.items() if not path.is_file() or path.read_text() != text}
    return differing | dict.fromkeys(orphans)


def _refresh(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
