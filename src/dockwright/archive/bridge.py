"""Between the event loop and archive code, which blocks: byte streams with back-pressure and bounded memory.

Each transfer has a thread of its own rather than one of the pools': it waits for its peer as long as that takes, and a
handful of slow clients would otherwise stop all other work.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from dockwright.undo import shielded

T = TypeVar("T")

WINDOW_BYTES = 2 * 1024 * 1024
# A worker sees that its transfer was given up at its next read or write, at the latest after this.
END_LIMIT_S = 600.0


class _Aborted(Exception):
    """The other side is gone; seen by the worker alone."""


class _Pipe:
    """Chunks from one side to the other, `WINDOW_BYTES` in flight at most. One side is the loop, the other a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._wake = asyncio.Event()  # for the loop's side
        self._ended = self._aborted = False

    @property
    def aborted(self) -> bool:
        """Whether nothing more is wanted."""
        return self._aborted

    async def put(self, chunk: bytes) -> None:
        """From the loop: returns when there is room for more, or nobody reads any more."""
        self._push(chunk)
        while self._held > WINDOW_BYTES and not self._aborted:
            self._wake.clear()
            if self._held > WINDOW_BYTES and not self._aborted:
                await self._wake.wait()

    async def get(self) -> bytes:
        """To the loop; empty at the end."""
        while True:
            self._wake.clear()
            with self._changed:
                if self._chunks:
                    return self._pop()
                if self._ended:
                    return b""
            await self._wake.wait()

    def read(self, size: int = WINDOW_BYTES, /) -> bytes:
        """To the thread; empty at the end. This is a `Source`."""
        with self._changed:
            while not self._chunks and not self._ended and not self._aborted:
                self._changed.wait()
            if self._aborted:
                raise _Aborted
            if not self._chunks:
                return b""
            chunk = self._pop()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                self._held += len(chunk) - size
                chunk = chunk[:size]
        if self._held <= WINDOW_BYTES // 2:
            self._wake_loop()
        return chunk

    def write(self, chunk: bytes) -> None:
        """From the thread: blocks while the window is full."""
        with self._changed:
            while self._held > WINDOW_BYTES and not self._aborted:
                self._changed.wait()
            if self._aborted:
                raise _Aborted
            self._chunks.append(chunk)
            self._held += len(chunk)
        self._wake_loop()

    def end(self) -> None:
        """Nothing more comes. From either side."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._wake_loop()

    def abort(self) -> None:
        """Nothing more is wanted. From either side."""
        with self._changed:
            self._aborted = True
            self._changed.notify()
        self._wake_loop()

    def _push(self, chunk: bytes) -> None:
        with self._changed:
            self._chunks.append(chunk)
            self._held += len(chunk)
            self._changed.notify()

    def _pop(self) -> bytes:
        chunk = self._chunks.popleft()
        self._held -= len(chunk)
        self._changed.notify()
        return chunk

    def _wake_loop(self) -> None:
        with suppress(RuntimeError):  # the loop is gone: nobody waits
            self._loop.call_soon_threadsafe(self._wake.set)


async def consume(stream: AsyncIterable[bytes], work: Callable[[_Pipe], T]) -> T:
    """Run `work(source)` in a thread of its own, `source.read()` giving what `stream` yields; return its result.

    `work` may stop reading early: the rest of the stream is then left alone. When the stream fails
    or the caller is cancelled, `work` is stopped at its next read and awaited, and that error is raised.
    """
    pipe = _Pipe()
    done = _in_thread(lambda: _finishing(pipe, work))
    try:
        async for chunk in stream:
            # Not whether `done` is: a stream that never waits leaves the loop no turn to hear of that.
            if pipe.aborted:
                break
            if chunk:
                await pipe.put(chunk)
        pipe.end()
        await asyncio.wait((done,))
    finally:
        if not done.done():
            pipe.abort()
        await shielded(_ended(done), limit_s=END_LIMIT_S)
    return done.result()


async def run(work: Callable[[], T], stop: Callable[[], object]) -> T:
    """Run long `work` in a thread of its own. A cancelled caller calls `stop`, which makes it end, and waits for that."""
    done = _in_thread(work)
    try:
        await asyncio.wait((done,))
    finally:
        if not done.done():
            stop()
        await shielded(_ended(done), limit_s=END_LIMIT_S)
    return done.result()


async def produce(work: Callable[[], Iterator[bytes]]) -> AsyncGenerator[bytes, None]:
    """What the generator `work()` yields, run in a thread of its own, a window ahead of the reader.

    Raises what `work` raises, after everything it yielded before. Closing the generator stops `work` and awaits it.
    """
    pipe = _Pipe()

    def run() -> None:
        try:
            for chunk in work():
                if chunk:
                    pipe.write(chunk)
        except _Aborted:
            pass
        finally:
            pipe.end()

    done = _in_thread(run)
    try:
        while chunk := await pipe.get():
            yield chunk
        await done
    finally:
        pipe.abort()
        await shielded(_ended(done), limit_s=END_LIMIT_S)


def _finishing(pipe: _Pipe, work: Callable[[_Pipe], T]) -> T:
    try:
        return work(pipe)
    finally:
        pipe.abort()


async def _ended(done: asyncio.Future[Any]) -> None:
    await asyncio.wait((done,))
    if not done.cancelled():
        done.exception()  # retrieved: whoever wants it reads the result


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the future
            failure = error
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="archive transfer", daemon=True).start()
    return future
