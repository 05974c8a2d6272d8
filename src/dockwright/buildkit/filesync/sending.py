"""The sending end: tells what there is, then sends the content of what is asked for."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from dockwright import workers
from dockwright.archive.root import Root
from dockwright.buildkit.filesync import modes
from dockwright.buildkit.filesync.streams import PacketStream
from dockwright.buildkit.filesync.walking import Filter, Walk
from dockwright.buildkit.proto.fsutil_pb2 import Packet, Stat
from dockwright.errors import DockwrightError, Unavailable
from dockwright.tasks import first

_BATCH = 256
# How many files are read at a time.
_FILES = 64
_CHUNK = 128 * 1024


async def send(stream: PacketStream, root: Path, chosen: Filter) -> None:
    """Send what `chosen` takes of the directory `root`, until the receiver has all it wants.

    Raises `Unavailable` when the receiver gives up or goes away, `OSError` for a directory that cannot be read: the receiver
    is told.
    """
    sender = _Sender(stream, root)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.tell(chosen))
            group.create_task(sender.hear())
            group.create_task(sender.answer())
    except BaseExceptionGroup as failed:
        error = first(failed)
        if isinstance(error, OSError | DockwrightError) and not isinstance(error, Unavailable):
            await sender.put(Packet(type=Packet.PACKET_ERR, data=str(error).encode()))
        raise error from None


class _Sender:
    def __init__(self, stream: PacketStream, root: Path) -> None:
        self._stream, self._root = stream, root
        self._turn = asyncio.Lock()
        self._files: dict[int, str] = {}
        # What is asked for and not sent yet; whether no more will be.
        self._asked: deque[int] = deque()
        self._ended = False
        self._news = asyncio.Event()

    async def put(self, packet: Packet) -> None:
        async with self._turn:
            await self._stream.send_message(packet)

    async def tell(self, chosen: Filter) -> None:
        number = 0
        entries = Walk(self._root, chosen).entries()
        while batch := await workers.bulk(_some, entries):
            for entry in batch:
                if modes.is_regular(entry.mode):
                    self._files[number] = entry.path
                number += 1
                await self.put(Packet(type=Packet.PACKET_STAT, stat=entry))
        await self.put(Packet(type=Packet.PACKET_STAT))

    async def hear(self) -> None:
        """What is asked for, until the receiver has all it wants."""
        while (packet := await self._stream.recv_message()) is not None:
            match packet.type:
                case Packet.PACKET_REQ:
                    self._asked.append(packet.ID)
                    self._news.set()
                case Packet.PACKET_ERR:
                    raise Unavailable(f"the receiver of files: {packet.data.decode('utf-8', 'replace')}")
                case Packet.PACKET_FIN:
                    self._ended = True
                    self._news.set()
                    return
        raise Unavailable("the receiver of files has gone")

    async def answer(self) -> None:
        """Send the content of what is asked for: files are read some at a time, as most are small."""
        while numbers := await self._next():
            paths = [self._file(one) for one in numbers]
            begins = await workers.bulk(_read, self._root, paths, 0)
            for one, path, begin in zip(numbers, paths, begins, strict=True):
                await self._content(one, path, begin)
        await self.put(Packet(type=Packet.PACKET_FIN))

    async def _next(self) -> list[int]:
        """Numbers that are asked for; none at the end."""
        while not self._asked and not self._ended:
            self._news.clear()
            await self._news.wait()
        return [self._asked.popleft() for _ in range(min(_FILES, len(self._asked)))]

    def _file(self, number: int) -> str:
        path = self._files.pop(number, None)
        if path is None:
            raise Unavailable(f"the receiver asks for the content of entry {number}, which is no file or has been sent")
        return path

    async def _content(self, number: int, path: str, chunk: bytes) -> None:
        offset = 0
        while chunk:
            offset += len(chunk)
            await self.put(Packet(type=Packet.PACKET_DATA, ID=number, data=chunk))
            if len(chunk) < _CHUNK:
                break
            (chunk,) = await workers.quick(_read, self._root, [path], offset)
        await self.put(Packet(type=Packet.PACKET_DATA, ID=number))


def _some(entries: Iterator[Stat]) -> list[Stat]:
    return list(itertools.islice(entries, _BATCH))


def _read(root: Path, paths: list[str], offset: int) -> list[bytes]:
    """A piece of each file; nothing where one went away meanwhile."""
    with Root(root) as opened:
        return [_piece(opened, path, offset) for path in paths]


def _piece(root: Root, path: str, offset: int) -> bytes:
    try:
        fd = root.open(os.fsencode(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        return os.pread(fd, _CHUNK, offset)
    finally:
        os.close(fd)
