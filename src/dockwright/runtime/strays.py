"""Processes that a daemon had just begun when it died: they go on, and would make a container that nobody knows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from dockwright.errors import HostFailure

LIMIT_S = 10.0


def end(bundles: Iterable[Path]) -> None:
    """Kill conmon and runtime processes that work on these bundles, and wait until none is left; blocking.

    They are known by their arguments: the bundle itself, or a file in it. Raises `HostFailure` when one does not go.
    """
    wanted = tuple(os.fsencode(bundle) for bundle in bundles)
    deadline = time.monotonic() + LIMIT_S
    while wanted and (found := [pid for pid in _processes() if _works_on(pid, wanted)]):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise HostFailure(f"processes {found} of a former daemon do not end")
        time.sleep(0.005)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _works_on(pid: int, wanted: tuple[bytes, ...]) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended
    return any(word == bundle or word.startswith(bundle + b"/") for word in arguments for bundle in wanted)
