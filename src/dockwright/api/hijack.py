"""A connection taken over from HTTP: raw bytes both ways, half-close, back-pressure.

Two forms (Engine API, "Hijacking"): `101 UPGRADED` for a client that asks to upgrade, else `200 OK` and the bare stream.
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import struct
import termios
import time
from collections import deque
from typing import TYPE_CHECKING

from aiohttp import web

from dockwright.api.versions import Version
from dockwright.container.detach import Detector
from dockwright.container.stdio import Stdio

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_UNREAD_LIMIT = 256 << 10
_HEAD_LIMIT_S = 0.2
_frame = struct.Struct(">BxxxL")


class AlreadySent(web.StreamResponse):
    """What a route returns after it took the connection over: there is nothing left to send."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None

    @property
    def keep_alive(self) -> bool:
        return False


class Connection(asyncio.Protocol):
    """The taken-over connection. `lost` is set when the peer is gone; the end of its sending half is `read` giving b""."""

    def __init__(self, transport: asyncio.Transport, former: asyncio.Protocol) -> None:
        self.lost = asyncio.Event()
        self._transport = transport
        self._former = former
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._ended = False
        self._head_read = False
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._hangup: select.epoll | None = None

    @classmethod
    def take(cls, request: web.BaseRequest, content_type: str) -> Connection:
        """Send the head and take the connection over. Raises `ConnectionResetError` when the client has gone."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        connection = cls(transport, request.protocol)
        transport.write(_head(request, content_type))
        transport.set_protocol(connection)
        transport.resume_reading()
        return connection

    async def read(self) -> bytes:
        """What came in; b"" once the client has closed its half or has gone."""
        while not self._unread:
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = self._unread.popleft()
        self._unread_bytes -= len(data)
        if self._unread_bytes < _UNREAD_LIMIT // 2 and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send, waiting while the client does not read. Raises `ConnectionResetError` when it has gone."""
        if not self._head_read:
            await self._until_head_is_read()
        if self.lost.is_set() or self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()

    async def _until_head_is_read(self) -> None:
        """Wait a moment until the client has taken the head from the socket.

        Clients that read the head through a buffer and then the bare socket (the Docker SDK for Python) lose what came
        with it. A unix socket tells what its peer has not read yet (TIOCOUTQ).
        """
        self._head_read = True
        held = self._transport.get_extra_info("socket")
        deadline = time.monotonic() + _HEAD_LIMIT_S
        while held is not None and not self.lost.is_set() and time.monotonic() < deadline:
            try:
                (unread,) = struct.unpack("i", fcntl.ioctl(held.fileno(), termios.TIOCOUTQ, b"\0" * 4))
            except OSError:
                return
            if not unread:
                return
            await asyncio.sleep(0.001)

    async def aclose(self) -> None:
        """Send what is left, wait until it is out, and close."""
        if self._transport.is_closing():
            return
        # uvloop was seen to lose data at a half-close right after a write: the buffer is emptied first.
        self._transport.set_write_buffer_limits(high=0)
        await self._writable.wait()
        self._transport.close()

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unread.append(bytes(data))
        self._unread_bytes += len(data)
        if self._unread_bytes > _UNREAD_LIMIT:
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        self._ended = True
        self._news.set()
        self._watch_for_hangup()
        return True  # the other half stays open: the container may still have something to say

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_watching()
        self._ended = True
        self.lost.set()
        self._news.set()
        self._writable.set()
        self._former.connection_lost(error)

    def _watch_for_hangup(self) -> None:
        """A client that closed its half may go altogether while the container is silent: nothing is read any more then, and
        nothing written. A unix socket tells with EPOLLHUP, which an epoll without events still reports.
        """
        bound = self._transport.get_extra_info("socket")
        if bound is None or self._hangup is not None or self._transport.is_closing():
            return
        self._hangup = select.epoll()
        self._hangup.register(bound.fileno(), 0)
        asyncio.get_running_loop().add_reader(self._hangup.fileno(), self._on_hangup)

    def _on_hangup(self) -> None:
        self._stop_watching()
        self._transport.abort()

    def _stop_watching(self) -> None:
        if self._hangup is not None:
            asyncio.get_running_loop().remove_reader(self._hangup.fileno())
            self._hangup.close()
            self._hangup = None


def content_type(version: Version, *, terminal: bool) -> str:
    """The media type of a stream: raw for terminals and for clients older than 1.42."""
    return MULTIPLEXED if version >= (1, 42) and not terminal else RAW


def framed(stream: int, data: bytes) -> bytes:
    """One frame of the multiplexed stream: stream, three zero bytes, length (big endian), data."""
    return _frame.pack(stream, len(data)) + data


async def carry(connection: Connection, stdio: Stdio, *, wanted: set[int], stdin: bool, detach_keys: bytes) -> bool:
    """Carry bytes between a client and a process until the process has said everything, the client leaves or detaches.

    True when the client typed the detach keys. Closes neither side.
    """
    detached = False

    async def outward() -> None:
        try:
            while (chunk := await stdio.read()) is not None:
                stream, data = chunk
                if stream in wanted or stdio.terminal:
                    await connection.write(data if stdio.terminal else framed(stream, data))
        except ConnectionResetError:
            pass  # the client has gone: `carry` ends

    async def inward() -> None:
        nonlocal detached
        detector = Detector(detach_keys) if stdio.terminal else None
        reads = stdin
        while data := await connection.read():
            if detector is not None:
                data, detached = detector.feed(data)
            try:
                if reads and data:
                    await stdio.write(data)
            except BrokenPipeError:
                reads = False  # the process reads no more; what it says is still wanted
            if detached:
                return
        if stdin and not connection.lost.is_set():
            await stdio.close_stdin()
        await connection.lost.wait()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outward()), group.create_task(inward())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
    return detached


def _head(request: web.BaseRequest, content_type: str) -> bytes:
    if (
        request.headers.get("Upgrade", "").lower() == "tcp"
        or "upgrade" in request.headers.get("Connection", "").lower()
    ):
        return (
            f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        ).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n".encode()
