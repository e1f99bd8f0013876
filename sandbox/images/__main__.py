"""``python -m sandbox.images build NAME --output-dir DIR``: have a golden image in DIR."""

import argparse
import json
import sys
from pathlib import Path

from sandbox.images import ImageError, build
from sandbox.images.builder import RECIPES


def main() -> int:
    """Build what the arguments name; prints the image's record as JSON."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.images", description="Build golden images.")
    commands = parser.add_subparsers(dest="command", required=True)
    build_parser = commands.add_parser("build", help="build an image, or take it from the cache")
    build_parser.add_argument("name", choices=RECIPES)
    build_parser.add_argument("--output-dir", type=Path, required=True, help="receives <sha256>.raw and <name>.json")
    arguments = parser.parse_args()
    try:
        image = build(arguments.name, arguments.output_dir)
    except ImageError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    print(json.dumps(image.record()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
