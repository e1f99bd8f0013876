"""What a run says while it measures."""


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)
