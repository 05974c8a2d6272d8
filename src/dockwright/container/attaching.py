"""Clients attached to a container's main process, before and while it runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dockwright.container.stdio import Stdio
from dockwright.errors import Conflict
from dockwright.runtime import Monitor

if TYPE_CHECKING:
    from dockwright.container.container import Container


class Attachments:
    """Attached clients of one container: each has a connection of its own to the monitor.

    A client may attach before the start: it is connected between the runtime's create and start, so that it sees the
    first byte.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._waiting: set[asyncio.Future[Stdio | None]] = set()

    def begin(self) -> asyncio.Future[Stdio | None]:
        """A future of the streams: resolved at once when it runs, else by the next start; None when it never runs.

        What the container says from this call on is not missed. `abandon` it, or close what it gives.
        """
        future: asyncio.Future[Stdio | None] = asyncio.get_running_loop().create_future()
        live = self._container.live
        if live is not None:
            future.set_result(_open(live.monitor, self._container.record.spec.config.tty))
        else:
            self._waiting.add(future)
        return future

    def abandon(self, future: asyncio.Future[Stdio | None]) -> None:
        """The client has gone: forget it, and close what it may have been given meanwhile."""
        self._waiting.discard(future)
        if not future.cancel() and not future.cancelled() and (given := future.result()) is not None:
            given.close()

    async def attach(self) -> Stdio | None:
        """The streams, once it runs; None when it went away without running.

        Cancelled while waiting, it leaves nothing behind. The caller closes what it gets.
        """
        future = self.begin()
        try:
            await asyncio.wait((future,))  # which does not cancel it with us
            return future.result()
        except asyncio.CancelledError:
            self.abandon(future)
            raise

    def connect(self, monitor: Monitor) -> None:
        """Connect every waiting client: the process exists and has not run yet."""
        for future in self._waiting:
            if not future.done():
                future.set_result(_open(monitor, self._container.record.spec.config.tty))
        self._waiting.clear()

    def end(self) -> None:
        """It will not run: release who waits."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()


def _open(monitor: Monitor, terminal: bool) -> Stdio:
    try:
        fd = monitor.connect().detach()
    except Conflict:
        return Stdio([], terminal=terminal)  # it has just ended and said all it had to say
    return Stdio([(fd, 0)], fd, terminal=terminal)
