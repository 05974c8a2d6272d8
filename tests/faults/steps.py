"""Builds that are cut short: what they read, and what is left of their steps: processes, mounts, directories."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.faces import Face
from tests.host import Daemon

LIMIT_S = 60.0
On = Callable[[str], Face]


def wait_until(true: Callable[[], object]) -> None:
    """Wait for it, not for ever."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def context(root: Path, content: dict[str, str | bytes]) -> str:
    """A directory to build from."""
    root.mkdir(exist_ok=True)
    for name, text in content.items():
        (root / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return str(root)


def running(marker: str) -> list[int]:
    """Processes whose command line has `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def left_of_steps(daemon: Daemon) -> list[str]:
    """What builds have not given back."""
    found = [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{daemon.root}/exec/builds" in line
    ]
    found += os.listdir(daemon.root / "exec" / "builds")
    return found + os.listdir(daemon.root / "data" / "build" / "contexts")
