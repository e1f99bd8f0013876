"""`python -m sandbox.spdk`: the stand-in alone."""

from sandbox.spdk.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
