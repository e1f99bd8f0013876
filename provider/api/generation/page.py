"""A page of docs/ that one module writes: a command that writes it, or says that it is out of date."""

import argparse
import sys
from pathlib import Path


def refresh_page(module: str, path: Path, text: str) -> int:
    """Run ``python -m MODULE [--check]``; returns its exit code: 1 (``--check`` only) where the page differs."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"Write docs/{path.name}.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is out of date")
    check = parser.parse_args().check
    if path.exists() and path.read_text() == text:
        return 0
    if check:
        print(f"{path} is out of date: run `make generate`", file=sys.stderr)
        return 1
    path.write_text(text)
    print(f"refreshed {path}")
    return 0
