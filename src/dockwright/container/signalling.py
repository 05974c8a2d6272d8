"""Signals to a container, and the standing still of its processes."""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dockwright import faults
from dockwright.container import state
from dockwright.container.owned import Owned
from dockwright.container.signals import parse_signal
from dockwright.container.starting import Live
from dockwright.container.state import Status
from dockwright.container.waiting import Condition
from dockwright.errors import HostFailure
from dockwright.undo import UndoStack

KILL_LIMIT_S = 30.0


class Signalled(Owned):
    """`stop`, `kill`, `pause` and `unpause`. What follows when the process ends is `Container`'s."""

    async def stop(self, timeout_s: int | None = None, signal: str = "") -> None:
        """Send the stop signal, and SIGKILL after `timeout_s` seconds (negative: never). Raises `NotModified`.

        A cancelled call leaves the signal sent and does not kill.
        """
        state.check("stop", self.status, self.id)
        number = parse_signal(signal or self.record.spec.config.stop_signal or "SIGTERM")
        await self._stop_by_hand()
        if self.alive:
            await self._end(number, self._stop_timeout_s(timeout_s))
        await self.tell("stop")

    async def kill(self, signal: str = "SIGKILL") -> None:
        """Send a signal; with SIGKILL wait for the end. Raises `Conflict` when it does not run, `Invalid`."""
        number = parse_signal(signal or "SIGKILL")
        state.check("kill", self.status, self.id)
        if number in (signals.SIGKILL, parse_signal(self.record.spec.config.stop_signal or "SIGTERM")):
            await self._stop_by_hand()
        await self.tell("kill", signal=str(int(number)))
        if not self.alive:
            return
        if number == signals.SIGKILL:
            await self._end(number, None)
        else:
            await self._signal(number)

    async def _stop_by_hand(self) -> None:
        async with self._lock:
            self._cancel_restart()
            now = self.record.state
            now.stopped_by_hand = True
            if now.status is Status.RESTARTING:
                now.status = Status.EXITED
            await self.parts.table.save_state(self.record)

    async def _end(self, number: int, timeout_s: float | None) -> None:
        """Signal, wait, and kill after `timeout_s` (None: SIGKILL was meant; negative: wait for ever)."""
        ended = self._waiters.add(Condition.NEXT_EXIT)
        if not self.alive:
            return
        await self._signal(number)
        if number != signals.SIGKILL:
            try:
                async with asyncio.timeout(timeout_s if timeout_s is None or timeout_s >= 0 else None):
                    await asyncio.wait((ended,))
                    return
            except TimeoutError:
                await self._signal(signals.SIGKILL)
        try:
            async with asyncio.timeout(KILL_LIMIT_S):
                await asyncio.wait((ended,))
        except TimeoutError:
            raise HostFailure(f"container {self.id} did not end within {KILL_LIMIT_S:g} s of SIGKILL") from None

    async def _signal(self, number: int) -> None:
        live = self.live
        if live is None:
            return
        live.monitor.signal(number)
        if self.status is Status.PAUSED:  # a frozen process takes no signal
            await self._thaw(live)

    async def _thaw(self, live: Live) -> None:
        async with self._lock:
            if self.live is not live or self.status is not Status.PAUSED:
                return
            await live.runtime.resume(self.id)
            await self._set_status(Status.RUNNING)
        await self.tell("unpause")

    def _stop_timeout_s(self, asked_s: int | None) -> int:
        if asked_s is not None:
            return asked_s
        own = self.record.spec.config.stop_timeout
        return own if own is not None else self.parts.defaults.stop_timeout_s

    # -- pause -----------------------------------------------------------------------------------------------------

    async def pause(self) -> None:
        """Freeze its processes. Raises `Conflict`."""
        async with self._lock:
            live = self.require_live("pause")
            await live.runtime.pause(self.id)
            await self._set_status(Status.PAUSED)
        await self.tell("pause")

    async def unpause(self) -> None:
        """Thaw its processes. Raises `Conflict`."""
        async with self._lock:
            live = self.require_live("unpause")
            await live.runtime.resume(self.id)
            await self._set_status(Status.RUNNING)
        await self.tell("unpause")

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Its processes stand still while the context lasts, and its state stays what it is; nothing when it does not run.

        A daemon that dies meanwhile has them go on when it starts again: what is kept says that they run.
        """
        async with self._lock:
            live = self.live
            if live is None or self.status is not Status.RUNNING:
                yield
                return
            async with UndoStack() as undo:
                undo.push_undo(self._go_on, live)
                await live.runtime.pause(self.id)
                faults.point("container.still")
                yield

    async def _go_on(self, live: Live) -> None:
        try:
            await live.runtime.resume(self.id)
        except HostFailure:
            if live.monitor.signal(0):  # else it was killed meanwhile
                raise
