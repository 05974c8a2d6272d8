"""The receiving end: makes a directory equal to what the sender tells, and asks for the content of what differs.

A file is equal when kind, permissions, size and time are. Content is written beside the directory and renamed into place: a
file is never changed in place, and a transfer that breaks off leaves a directory that the next one makes right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from dockwright import workers
from dockwright.buildkit.filesync import modes
from dockwright.buildkit.filesync.placing import Placer
from dockwright.buildkit.filesync.streams import PacketStream
from dockwright.buildkit.proto.fsutil_pb2 import Packet, Stat
from dockwright.errors import DockwrightError, Invalid, Unavailable
from dockwright.tasks import first

ENTRIES_LIMIT = 5_000_000
_QUEUED_PACKETS = 128
# Parts that a clean relative path has not: an empty one is a slash too many.
_UNCLEAN = frozenset({"", ".", ".."})

Moved = Callable[[int], None]
End = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """What a transfer brought: entries that were told, files whose content was sent, and its bytes.

    `disk_bytes` is what all files take up now, sent or there before.
    """

    entries: int
    files: int
    size_bytes: int
    disk_bytes: int


def _unheard(size_bytes: int) -> None:
    pass


async def receive(
    stream: PacketStream,
    folder: Path,
    *,
    owner: tuple[int, int] | None = (0, 0),
    moved: Moved = _unheard,
    end: End | None = None,
) -> Received:
    """Make `folder/fs` what the sender tells; `folder` is this transfer's alone meanwhile, and is made where it is missing.

    `owner` is whose the files become; None keeps the sender's. `moved` hears how many bytes have come. `end` says that we send
    no more, where we are the call's client: a server in Go resets calls whose client has not said so. Raises `Invalid` for
    what is no tree of files, `Unavailable` when the sender gives up or goes away, `HostFailure` when a file cannot be written.
    """
    placer = await workers.quick(Placer, folder, owner)
    receiver = _Receiver(stream, placer, moved, end)
    try:
        return await receiver.run()
    except BaseExceptionGroup as failed:
        error = first(failed)
        await receiver.complain(error)
        raise error from None
    except DockwrightError as error:
        await receiver.complain(error)
        raise
    finally:
        await workers.quick(placer.close)


class _Receiver:
    def __init__(self, stream: PacketStream, placer: Placer, moved: Moved, end: End | None) -> None:
        self._stream, self._placer, self._moved, self._end = stream, placer, moved, end
        self._size = 0

    async def run(self) -> Received:
        entries = await self._told()
        wanted = await workers.bulk(self._placer.arrange, entries)
        # Bounded: a sender that is faster than the disk waits.
        packets: asyncio.Queue[Packet] = asyncio.Queue(_QUEUED_PACKETS)
        if wanted:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(wanted))
                group.create_task(self._read(len(wanted), packets))
                group.create_task(self._write(len(wanted), packets))
        await workers.bulk(self._placer.finish)
        await self._stream.send_message(Packet(type=Packet.PACKET_FIN))
        if self._end is not None:
            await self._end()
        while (packet := await self._stream.recv_message()) is not None and packet.type != Packet.PACKET_FIN:
            _check(packet)
        return Received(len(entries), len(wanted), self._size, self._placer.disk_bytes)

    async def complain(self, error: BaseException) -> None:
        """Tell the sender why, where it is still there."""
        if isinstance(error, DockwrightError) and not isinstance(error, Unavailable):
            await self._stream.send_message(Packet(type=Packet.PACKET_ERR, data=str(error).encode()))

    async def _told(self) -> list[Stat]:
        """Every entry, held against the rules of the protocol."""
        found: list[Stat] = []
        rules = _Rules()
        while True:
            packet = await self._next()
            if packet.type != Packet.PACKET_STAT:
                raise Invalid("the sender of files sends content that nobody asked for")
            self._size += packet.ByteSize()
            if not packet.HasField("stat"):
                self._moved(self._size)
                return found
            rules.check(packet.stat)
            found.append(packet.stat)
            if len(found) > ENTRIES_LIMIT:
                raise Invalid(f"more than {ENTRIES_LIMIT} files are sent")
            if len(found) % 1000 == 0:
                self._moved(self._size)

    async def _next(self) -> Packet:
        packet = await self._stream.recv_message()
        if packet is None:
            raise Unavailable("the sender of files has gone")
        _check(packet)
        return packet

    async def _ask(self, wanted: list[int]) -> None:
        for number in wanted:
            await self._stream.send_message(Packet(type=Packet.PACKET_REQ, ID=number))

    async def _read(self, files: int, packets: asyncio.Queue[Packet]) -> None:
        while files:
            packet = await self._next()
            if packet.type != Packet.PACKET_DATA:
                raise Invalid("the sender of files tells of more files than it said there were")
            files -= not packet.data
            await packets.put(packet)

    async def _write(self, files: int, packets: asyncio.Queue[Packet]) -> None:
        while files:
            batch = [await packets.get()]
            while not packets.empty():
                batch.append(packets.get_nowait())
            files -= sum(not packet.data for packet in batch)
            await workers.bulk(self._placer.write, [(packet.ID, packet.data) for packet in batch])
            self._size += sum(len(packet.data) for packet in batch)
            self._moved(self._size)


def _check(packet: Packet) -> None:
    if packet.type == Packet.PACKET_ERR:
        raise Unavailable(f"the sender of files: {packet.data.decode('utf-8', 'replace')}")


class _Rules:
    """Paths are clean, relative, told once, each after the directory that it is in; a link names a file told before."""

    def __init__(self) -> None:
        self._folders = {""}
        self._files: set[str] = set()
        self._last: list[str] | None = None

    def check(self, entry: Stat) -> None:
        path = entry.path
        parts = path.split("/")
        if "\0" in path or not _UNCLEAN.isdisjoint(parts):
            raise Invalid(f"the sender of files sends the path {path!r}, which is not clean")
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            raise Invalid(f"the sender of files sends {path!r} without the directory it is in")
        # "/" stands before every other character: a directory's files come right after it.
        if self._last is not None and self._last >= parts:
            raise Invalid(f"the sender of files sends {path!r} out of order")
        self._last = parts
        if modes.is_directory(entry.mode):
            self._folders.add(path)
        elif modes.is_regular(entry.mode):
            if entry.linkname and entry.linkname not in self._files:
                raise Invalid(
                    f"the sender of files sends {path!r} as another name of {entry.linkname!r}, which is not there"
                )
            self._files.add(path)
