"""What a process of ours says in its log: lines of one form, on standard error."""

import logging


def begin(level: str) -> None:
    """Log from ``level`` on (``debug``, ``info``, ``warning``, ``error``)."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # kopf tells of every event that it passed on.
    logging.getLogger("kopf").setLevel(logging.WARNING)
