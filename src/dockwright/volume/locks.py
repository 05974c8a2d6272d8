"""One lock a name, for as long as somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NamedLocks:
    """Locks that come into being when they are first wanted and go with their last holder."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def holding(self, *names: str) -> AsyncIterator[None]:
        """Hold the locks of all `names`, taken in their order: no two holders wait for each other."""
        first, *others = sorted(set(names))
        lock, wanted = self._locks.setdefault(first, (asyncio.Lock(), []))
        wanted.append(None)
        try:
            async with lock:
                if others:
                    async with self.holding(*others):
                        yield
                else:
                    yield
        finally:
            wanted.pop()
            if not wanted:
                del self._locks[first]
