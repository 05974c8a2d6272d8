"""Named fault points: a test can make any step of start, pull or build fail, or stop the process there.

A point costs a look-up when no fault is armed. Its name is a literal of its own, `area.step`:
`tests/unit/test_faults.py` walks the source and holds them to it.

The environment variable `DOCKWRIGHT_FAULTS` arms points in a daemon under test: `start.mount:raise,start.network:kill`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dockwright.errors import HostFailure

_armed: dict[str, Callable[[], None]] = {}


def point(name: str) -> None:
    """A place where a test may make the engine fail; does nothing unless `name` is armed."""
    if _armed and (act := _armed.get(name)):
        act()


@contextmanager
def armed(name: str, act: Callable[[], None] | None = None) -> Iterator[None]:
    """While the context lasts, passing the point `name` runs `act` (by default: raises `HostFailure`)."""
    _armed[name] = act or _raise(name)
    try:
        yield
    finally:
        del _armed[name]


def arm_from_environment() -> None:
    """Arm what `DOCKWRIGHT_FAULTS` names. Raises `ValueError` on an unknown action."""
    for entry in filter(None, os.environ.get("DOCKWRIGHT_FAULTS", "").split(",")):
        name, _, action = entry.partition(":")
        if action not in ("raise", "kill"):
            raise ValueError(f"DOCKWRIGHT_FAULTS: {entry!r}: the action is raise or kill")
        _armed[name] = _kill if action == "kill" else _raise(name)


def _raise(name: str) -> Callable[[], None]:
    def act() -> None:
        raise HostFailure(f"injected fault at {name}")

    return act


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
