"""Two that bring the same sandbox up: the second waits for the first, so that keys and certificates belong together."""

import threading
from pathlib import Path

import pytest

from sandbox.cloud import Cloud


def test_the_second_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def coming_up(cloud: Cloud) -> None:
        story.append("begins")
        inside.set()
        go_on.wait(timeout=30)
        story.append("ends")

    monkeypatch.setattr(Cloud, "_up", coming_up)
    both = [threading.Thread(target=Cloud(tmp_path).up) for _ in range(2)]
    both[0].start()
    assert inside.wait(timeout=30)
    both[1].start()
    go_on.set()
    for each in both:
        each.join(timeout=30)
    assert story == ["begins", "ends", "begins", "ends"]
    assert list(tmp_path.iterdir()) == []
