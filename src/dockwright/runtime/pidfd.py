"""Processes that are not our children, held by pidfd (pidfd_open(2), Linux 5.3): no reuse, no polling."""

from __future__ import annotations

import asyncio
import os
import signal as signals


class Process:
    """A process held by its pidfd. `wait` may be called by several tasks; `close` gives the descriptor back."""

    def __init__(self, pid: int, fd: int | None) -> None:
        self.pid = pid
        self._fd = -1 if fd is None else fd
        self._ended = asyncio.Event()
        if fd is None:
            self._ended.set()
        else:
            asyncio.get_running_loop().add_reader(fd, self._on_end)

    @classmethod
    def hold(cls, pid: int) -> Process | None:
        """Hold the process `pid`, or None when there is none. Call from the loop's thread."""
        if pid <= 0:
            return None
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        return cls(pid, fd)

    @classmethod
    def gone(cls, pid: int) -> Process:
        """A process that had ended before it could be held."""
        return cls(pid, None)

    @property
    def ended(self) -> bool:
        """Whether it has ended, as far as the loop has noticed."""
        return self._ended.is_set()

    async def wait(self) -> None:
        """Return when the process has ended."""
        await self._ended.wait()

    def signal(self, number: int) -> bool:
        """Send a signal; False when the process is gone."""
        if self._fd < 0:
            return False
        try:
            signals.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        """Stop watching. Waiters are released. Safe to call twice."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._ended.set()

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._ended.set()
