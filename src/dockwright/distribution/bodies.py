"""The body of one request of an upload: a part of a blob, out of a source that may hold a file open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from dockwright.errors import Corrupt, DockwrightError


class Body:
    """The bytes `start` to `end` (excluded) of a blob of `size` bytes; `chunks` begins at `start` and is owned from here on.

    The HTTP client reads it in a task of its own, which may be cut short: `aclose` ends the source once that task is out of it.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        start: int,
        end: int,
        size: int,
        progress: Callable[[int], None],
    ) -> None:
        self._chunks = chunks
        self._at = start
        self._end = end
        self._size = size
        self._progress = progress
        self._reading = asyncio.Lock()
        # What the source raised: the HTTP client only says that it could not send.
        self.failure: Exception | None = None

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        async with self._reading:
            try:
                return await self._next()
            except StopAsyncIteration:
                raise
            except (DockwrightError, OSError, ValueError) as error:
                self.failure = error
                raise

    async def aclose(self) -> None:
        """End the source. Safe to call twice."""
        async with self._reading:
            await self._chunks.aclose()

    async def _next(self) -> bytes:
        self._progress(self._at)
        if self._at == self._end < self._size:
            raise StopAsyncIteration
        async for chunk in self._chunks:
            if not chunk:
                continue
            if self._at + len(chunk) > self._size:
                raise Corrupt(f"the content to upload is longer than its {self._size} bytes")
            part = chunk[: self._end - self._at]
            self._at += len(part)
            return part
        if self._at < self._end:
            raise Corrupt(f"the content to upload ended after {self._at} of {self._size} bytes")
        raise StopAsyncIteration
