"""Hurried RCU grace periods while containers start (`expedite-starts`; linux, Documentation/admin-guide/kernel-parameters,
rcupdate.rcu_expedited).

A start waits for several of them: new namespaces, mounts, cgroups. Hurrying them interrupts every CPU for a moment, so it
lasts as long as some container starts, no longer. The switch is one for the whole host: one daemon at a time uses it, and
one that was switched on by somebody else is left alone.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockwright import workers

log = logging.getLogger(__name__)

SWITCH = Path("/sys/kernel/rcu_expedited")
_NAME = "\0dockwright/rcu_expedited"
_ON, _OFF = b"1", b"0"


class Expediting:
    """The switch of one daemon. `open`, then `starting` around each start, `aclose` at the end."""

    def __init__(self, switch: int | None, claim: socket.socket | None, marker: Path) -> None:
        """Use `open`. `switch` None: nothing is hurried."""
        self._switch = switch
        self._claim = claim
        self._marker = marker
        self._starts = 0

    @classmethod
    async def open(cls, marker: Path, *, wanted: bool, switch: Path = SWITCH, name: str = _NAME) -> Expediting:
        """Switch off what a killed daemon left on, and take the switch where it is `wanted` and to be had.

        `marker` is there while a daemon has the switch: on tmpfs, as the switch is gone after a reboot too.
        """
        return await workers.quick(_open, marker, wanted, switch, name)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """While the context lasts grace periods are hurried. Writing the switch takes microseconds and no disk."""
        if self._switch is None:
            yield
            return
        self._starts += 1
        if self._starts == 1:
            self._turn(_ON)
        try:
            yield
        finally:
            self._starts -= 1
            if not self._starts:
                self._turn(_OFF)

    async def aclose(self) -> None:
        """Let go of the switch. Safe to call twice."""
        await workers.quick(self._close)

    def _turn(self, value: bytes) -> None:
        if self._switch is not None:
            os.pwrite(self._switch, value, 0)

    def _close(self) -> None:
        if self._switch is not None:
            self._turn(_OFF)
            os.close(self._switch)
            self._switch = None
            self._marker.unlink(missing_ok=True)
        if self._claim is not None:
            self._claim.close()
            self._claim = None


def _open(marker: Path, wanted: bool, switch: Path, name: str) -> Expediting:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    fd = None
    try:
        fd = _take(claim, marker, wanted, switch, name)
    finally:
        if fd is None:
            claim.close()
    return Expediting(fd, claim if fd is not None else None, marker)


def _take(claim: socket.socket, marker: Path, wanted: bool, switch: Path, name: str) -> int | None:
    left = marker.exists()
    if not left and not wanted:
        return None
    try:
        claim.bind(name)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        marker.unlink(missing_ok=True)  # who has the switch now turns it off
        log.warning("starts are not expedited: another daemon has %s", switch)
        return None
    try:
        fd = os.open(switch, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        log.warning("starts are not expedited: %s: %s", switch, error.strerror)
        return None
    try:
        if left:
            os.pwrite(fd, _OFF, 0)
            marker.unlink()
        if not wanted or os.pread(fd, 8, 0).strip() != _OFF:
            os.close(fd)  # somebody wants it on for good
            return None
        marker.touch()
    except OSError:
        os.close(fd)
        raise
    return fd
