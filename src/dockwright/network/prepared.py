"""Things made ahead of time, so that whoever needs one does not wait for its making."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from dockwright.errors import DockwrightError
from dockwright.tasks import Background

T = TypeVar("T")
log = logging.getLogger(__name__)

#: Above the low-water mark the stock is filled only when nobody took one for this long: making competes with starts.
QUIET_S = 0.05
_RETRY_S = 2.0


class Prepared(Generic[T]):
    """A stock of up to `target` things from `make`. Handed out oldest first; made on the spot when there is none."""

    def __init__(self, make: Callable[[], Awaitable[T]], target: int, background: Background) -> None:
        self._make = make
        self._target = target
        self._low = target // 4
        self._stock: deque[T] = deque()
        self._taken_at = time.monotonic()
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._refill = background.start(self._refill_for_ever(), name="prepare") if target > 0 else None

    def __len__(self) -> int:
        return len(self._stock)

    async def take(self) -> T:
        """One thing, now the caller's. Raises what `make` raises when it has to be made on the spot."""
        self._taken_at = time.monotonic()
        self._wanted.set()
        return self._stock.popleft() if self._stock else await self._make()

    async def stop(self) -> list[T]:
        """Make no more; the rest of the stock is the caller's. Safe to call twice."""
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.wait((self._refill,))
        rest = list(self._stock)
        self._stock.clear()
        return rest

    async def _refill_for_ever(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._fill()
            except DockwrightError as error:
                log.warning("prepare: %s", error)
                await asyncio.sleep(_RETRY_S)
                self._wanted.set()

    async def _fill(self) -> None:
        while len(self._stock) < self._target:
            wait_s = self._taken_at + QUIET_S - time.monotonic()
            if len(self._stock) >= self._low and wait_s > 0:
                await asyncio.sleep(wait_s)  # and look again: somebody may have taken one meanwhile
            else:
                self._stock.append(await self._make())
