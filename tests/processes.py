"""Programs of this host, found by their command lines: what steps of builds run."""

from __future__ import annotations

import time
from pathlib import Path

LIMIT_S = 60


def processes(command: str) -> list[str]:
    """The ids of those whose whole command line this is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text == command:
            found.append(path.parent.name)
    return found


def started(command: str) -> None:
    """Wait until it runs."""
    _until(command, there=True)


def ended(command: str) -> None:
    """Wait until it runs no more."""
    _until(command, there=False)


def _until(command: str, *, there: bool) -> None:
    deadline = time.monotonic() + LIMIT_S
    while bool(processes(command)) is not there:
        assert time.monotonic() < deadline
        time.sleep(0.02)
