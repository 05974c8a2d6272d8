"""What is left of build steps: processes, mounts, directories."""

from __future__ import annotations

import os
from pathlib import Path

from tests.host import Daemon


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
