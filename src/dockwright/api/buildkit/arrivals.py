"""Things that two calls meet over: one brings it under a name, the other may ask for it a moment before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

# Calls that belong together come at the same time.
WAIT_LIMIT_S = 10.0


class Arrivals(Generic[T]):
    """Those that are there now, by name."""

    def __init__(self) -> None:
        self._there: dict[str, T] = {}
        self._news = asyncio.Event()

    def __contains__(self, name: str) -> bool:
        return name in self._there

    @contextmanager
    def present(self, name: str, thing: T) -> Iterator[T]:
        """`thing` can be found for as long as the context lasts; whoever waits for it hears of it."""
        self._there[name] = thing
        waiting, self._news = self._news, asyncio.Event()
        waiting.set()
        try:
            yield thing
        finally:
            del self._there[name]

    async def wait(self, name: str) -> T:
        """The thing, waited for a while. Raises `TimeoutError`."""
        async with asyncio.timeout(WAIT_LIMIT_S):
            while name not in self._there:
                await self._news.wait()
        return self._there[name]
