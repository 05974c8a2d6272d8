"""A container's or an exec's standard streams as the engine hands them out: read, write, half-close, detach.

Reading has back-pressure: past `BUFFER_BYTES` unread, descriptors are not read any more, and whoever writes at the other end
waits, as on a terminal held with ctrl-s.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Sequence

STDOUT, STDERR = 1, 2
BUFFER_BYTES = 256 << 10
_READ_BYTES = 64 << 10
# conmon numbers its pipes 1 stdin, 2 stdout, 3 stderr.
_PIPE_OFFSET = 1
# conmon reads its attach socket packet by packet into a buffer of 32 KiB; what is longer would be cut.
_WRITE_BYTES = 8 << 10


class Stdio:
    """Streams over file descriptors, which it owns: pipes, a terminal's master, or conmon's packet socket.

    `sources` are (descriptor, stream) with stream 1 or 2, or 0 where each packet's first byte tells. `sink` takes stdin, -1
    for none; it may be one of the sources. Use from the loop's thread; `close` may be called twice.
    """

    def __init__(self, sources: Sequence[tuple[int, int]], sink: int = -1, *, terminal: bool = False) -> None:
        self.terminal = terminal
        self._loop = asyncio.get_running_loop()
        self._sources = dict(sources)
        self._sink = sink
        self._open = set(self._sources)
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._buffered = 0
        self._held = False
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        for fd in {*self._sources, *([sink] if sink >= 0 else [])}:
            os.set_blocking(fd, False)
        for fd in self._sources:
            self._loop.add_reader(fd, self._readable, fd)

    async def read(self) -> tuple[int, bytes] | None:
        """The next (stream, data); None once every stream has ended and been read."""
        while not self._chunks:
            if not self._open:
                return None
            self._news.clear()
            await self._news.wait()
        stream, data = self._chunks.popleft()
        self._buffered -= len(data)
        if self._held and self._buffered < BUFFER_BYTES // 2:
            self._held = False
            for fd in self._open:
                self._loop.add_reader(fd, self._readable, fd)
        return stream, data

    async def write(self, data: bytes) -> None:
        """Write to stdin, waiting while the other end is slow. Raises `BrokenPipeError` when nobody reads it any more."""
        async with self._writing:
            view = memoryview(data)
            while view:
                if self._sink < 0:
                    raise BrokenPipeError("stdin is closed")
                try:
                    view = view[os.write(self._sink, view[:_WRITE_BYTES]) :]
                except BlockingIOError:
                    await self._writable()
                except OSError as error:
                    raise BrokenPipeError("stdin is closed") from error

    async def close_stdin(self) -> None:
        """End of input: nothing more will be written."""
        async with self._writing:
            fd, self._sink = self._sink, -1
            if fd < 0:
                return
            if fd not in self._sources:
                os.close(fd)
            elif not self.terminal and fd in self._open:
                _shutdown_write(fd)

    def close(self) -> None:
        """Give every descriptor back; readers see the end."""
        for fd in self._open:
            self._loop.remove_reader(fd)
        self._open.clear()
        for fd in {*self._sources, *([self._sink] if self._sink >= 0 else [])}:
            self._loop.remove_writer(fd)
            os.close(fd)
        self._sources.clear()
        self._sink = -1
        self._news.set()

    def _readable(self, fd: int) -> None:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a terminal whose other end has gone answers EIO
            data = b""
        if not data:
            self._loop.remove_reader(fd)
            self._open.discard(fd)
            self._news.set()
            return
        stream = self._sources[fd]
        if stream == 0:
            stream, data = data[0] - _PIPE_OFFSET, data[1:]
        if data:
            self._chunks.append((stream, data))
            self._buffered += len(data)
        if self._buffered > BUFFER_BYTES and not self._held:
            self._held = True
            for other in self._open:
                self._loop.remove_reader(other)
        self._news.set()

    async def _writable(self) -> None:
        fd = self._sink
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(fd, _resolve, ready)
        try:
            await ready
        finally:
            if self._sink == fd:
                self._loop.remove_writer(fd)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _shutdown_write(fd: int) -> None:
    with socket.socket(fileno=os.dup(fd)) as half:
        try:
            half.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other end has gone: that is closed enough
