"""What a dead daemon had begun is ended, and nothing else."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright.runtime import strays


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    words = {
        "bundle": [str(tmp_path / "one")],
        "file": [str(tmp_path / "one/init.pid")],
        "other": [str(tmp_path / "one-more")],
        "alive": [str(tmp_path / "two")],
    }
    found = {
        name: subprocess.Popen(["sh", "-c", "while :; do sleep 0.05; done", *arguments])
        for name, arguments in words.items()
    }
    yield found
    for process in found.values():
        process.kill()
        process.wait()


def test_what_works_on_a_given_bundle_is_ended(begun: dict[str, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    children = [begun["bundle"], begun["file"]]
    reapers = [threading.Thread(target=process.wait) for process in children]
    for reaper in reapers:
        reaper.start()
    strays.end([tmp_path / "one"])
    for reaper in reapers:
        reaper.join(10)
    assert [process.returncode for process in children] == [-9, -9]
    assert begun["other"].poll() is None
    assert begun["alive"].poll() is None


def test_nothing_to_end_is_fine(tmp_path: Path) -> None:
    strays.end([])
    strays.end([tmp_path / "nothing"])
