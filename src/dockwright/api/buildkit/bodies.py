"""Contexts that clients send as the body of a request of their own, beside the session (`docker build - < context.tar`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dockwright.api.buildkit.arrivals import WAIT_LIMIT_S, Arrivals
from dockwright.errors import Conflict, Unavailable


@dataclass(eq=False)
class _Body:
    chunks: AsyncIterator[bytes]
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)


class Bodies:
    """Those that are offered now."""

    def __init__(self) -> None:
        self._offered: Arrivals[_Body] = Arrivals()

    @contextmanager
    def offered(self, name: str, chunks: AsyncIterator[bytes]) -> Iterator[_Body]:
        """One can be taken for as long as the context lasts. Raises `Conflict` for a second one of the name."""
        if name in self._offered:
            raise Conflict(f"a context {name} was sent already")
        with self._offered.present(name, _Body(chunks)) as body:
            yield body

    async def offer(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """One, until it was read. Raises as `offered`, and `Unavailable` when nobody wants it."""
        with self.offered(name, chunks) as body:
            try:
                async with asyncio.timeout(WAIT_LIMIT_S):
                    await body.taken.wait()
            except TimeoutError:
                raise Unavailable(f"no build wants the context {name}") from None
            await body.read.wait()

    async def take(self, name: str) -> AsyncGenerator[bytes, None]:
        """Read one, waited for a while. Raises `Unavailable`."""
        try:
            body = await self._offered.wait(name)
        except TimeoutError:
            raise Unavailable(f"the context {name} was not sent") from None
        if body.taken.is_set():
            raise Unavailable(f"the context {name} is read already")
        body.taken.set()
        try:
            async for chunk in body.chunks:
                yield chunk
        finally:
            body.read.set()
