"""The file conmon writes a container's output to, read line by line, with a position that survives kill -9.

A line is `TIME STREAM P|F DATA\\n`; P means that DATA is not a whole line (conmon read no newline with it), F that it is the
end of one (Kubernetes' CRI log format). conmon 2.1 reads 8 KiB at a time, so long lines come in many pieces, and the two
streams' pieces interleave. Here pieces are put together again up to 16 KiB, as Docker cuts lines.

Each stream has a position of its own: while a line of stdout is incomplete, lines of stderr behind it are already delivered.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.logs.codec import parse_time
from dockwright.logs.record import PIECE_BYTES, STREAMS, Mark, Record

_LINE = re.compile(rb"(\S{20,40}) (stdout|stderr) ([PF]) ([^\n]*)\n")
_POSITION = struct.Struct("<4sBQQQQQQQQ")
#: conmon reads 8 KiB at a time.
_LINE_LIMIT = 128 * 1024
_MAGIC = b"DWP1"
_CRC = struct.Struct("<I")


@dataclass(slots=True)
class Place:
    """How far one stream was delivered: bytes of the spool, and bytes of the data of the line that begins there."""

    offset: int = 0
    skip: int = 0


@dataclass(slots=True)
class Position:
    """What is stored after each delivery: which spool file, how far in it, and where the driver's file ended then."""

    inode: int = 0
    places: dict[str, Place] = field(default_factory=lambda: {stream: Place() for stream in STREAMS})
    mark: Mark = field(default_factory=Mark)
    finished: bool = False

    @property
    def start(self) -> int:
        """From where the spool has to be read again."""
        return min(place.offset for place in self.places.values())

    def pack(self) -> bytes:
        """With a checksum, in one page: one `pwrite` replaces it."""
        numbers = [number for stream in STREAMS for number in (self.places[stream].offset, self.places[stream].skip)]
        body = _POSITION.pack(_MAGIC, self.finished, self.inode, *numbers, *self.mark, 0)
        return body + _CRC.pack(zlib.crc32(body))

    @classmethod
    def unpack(cls, data: bytes) -> Position | None:
        """None when `data` is damaged or was never written."""
        if len(data) != _POSITION.size + _CRC.size:
            return None
        body = data[: _POSITION.size]
        if _CRC.unpack_from(data, _POSITION.size)[0] != zlib.crc32(body) or body[:4] != _MAGIC:
            return None
        _, finished, inode, out, out_skip, err, err_skip, mark_inode, mark_size, _ = _POSITION.unpack(body)
        places = {"stdout": Place(out, out_skip), "stderr": Place(err, err_skip)}
        return cls(inode, places, Mark(mark_inode, mark_size), bool(finished))


@dataclass(slots=True)
class _Pending:
    """The pieces of an incomplete line; `place` is where its first undelivered byte is."""

    place: Place
    time_ns: int
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


class Assembler:
    """Spool bytes in, records out; no I/O. `places` tells how far the records handed out so far go."""

    def __init__(self, position: Position) -> None:
        self._given = {stream: Place(place.offset, place.skip) for stream, place in position.places.items()}
        self._read = position.start
        self._pending: dict[str, _Pending] = {}

    @property
    def offset(self) -> int:
        """Where the next bytes of the spool belong."""
        return self._read

    def feed(self, data: bytes) -> tuple[list[Record], int]:
        """Records that `data`, the spool's bytes at `offset`, completes; and how many bytes were taken (whole lines)."""
        records: list[Record] = []
        end = data.rfind(b"\n") + 1
        if not end and len(data) > _LINE_LIMIT:
            end = len(data)  # conmon writes no such line: damaged
        base = self._read
        for match in _LINE.finditer(data, 0, end):
            self._line(base + match.start(), base + match.end(), match, records)
        self._read = base + end
        return records, end

    def places(self) -> dict[str, Place]:
        """How far each stream was handed out."""
        found = {}
        for stream in STREAMS:
            pending = self._pending.get(stream)
            behind = self._given[stream]
            here = Place(self._read) if behind.offset < self._read else Place(behind.offset, behind.skip)
            found[stream] = Place(pending.place.offset, pending.place.skip) if pending is not None else here
        return found

    def leftover(self) -> list[Record]:
        """The incomplete lines, when nothing follows any more; in the order they began."""
        rest = [
            (pending.place.offset, Record(stream, pending.time_ns, b"".join(pending.pieces)))
            for stream, pending in self._pending.items()
        ]
        self._pending.clear()
        return [record for _, record in sorted(rest, key=lambda entry: entry[0])]

    def moved(self) -> None:
        """The spool was rotated, the old one read to its end and `leftover` delivered: offsets begin anew."""
        self._read = 0
        self._given = {stream: Place() for stream in STREAMS}

    def _line(self, start: int, end: int, match: re.Match[bytes], records: list[Record]) -> None:
        stream = match[2].decode()
        given = self._given[stream]
        if start < given.offset:
            return
        try:
            time_ns = parse_time(match[1])
        except ValueError:
            return
        data = match[4]
        skip = given.skip if start == given.offset else 0
        pending = self._pending.get(stream)
        if pending is None:
            pending = _Pending(Place(start, skip), time_ns)
        if match[3] == b"F" and not pending.pieces and len(data) - skip < PIECE_BYTES:
            records.append(Record(stream, time_ns, data[skip:] + b"\n"))
            self._pending.pop(stream, None)
            return
        self._pending[stream] = pending
        pending.pieces.append(data[skip:])
        pending.size += len(data) - skip
        self._cut(stream, pending, start, records)
        if match[3] == b"F":
            records.append(Record(stream, pending.time_ns, b"".join(pending.pieces) + b"\n"))
            del self._pending[stream]

    def _cut(self, stream: str, pending: _Pending, start: int, records: list[Record]) -> None:
        """Hand out whole pieces of 16 KiB. What stays lies within the line at `start`: its place is known."""
        if pending.size < PIECE_BYTES:
            return
        joined = b"".join(pending.pieces)
        offset, before = 0, pending.size - len(pending.pieces[-1])
        while len(joined) - offset >= PIECE_BYTES:
            # What stays must lie within the newest line, or its place could not be told.
            stop = max(_character_boundary(joined, offset + PIECE_BYTES), before)
            records.append(Record(stream, pending.time_ns, joined[offset:stop]))
            offset = stop
        last = pending.pieces[-1]
        rest = joined[offset:]
        skipped = self._given[stream].skip if start == self._given[stream].offset else 0
        pending.pieces = [rest]
        pending.size = len(rest)
        pending.place = Place(start, skipped + len(last) - len(rest))


def _character_boundary(data: bytes, stop: int) -> int:
    """Not inside a UTF-8 character, where there is one: the bytes before `stop` that begin one move to the next piece."""
    for back in range(1, 4):
        byte = data[stop - back]
        if byte & 0xC0 != 0x80:
            width = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return stop - back if width > back else stop
    return stop


class PositionFile:
    """`<spool>.pos`. Written in place: one small `pwrite` is not torn by a kill, and a power cut takes the spool too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def load(self) -> Position | None:
        """What was stored last."""
        return Position.unpack(os.pread(self._fd, 4096, 0))

    def store(self, position: Position) -> None:
        """Replace it."""
        os.pwrite(self._fd, position.pack(), 0)

    def close(self) -> None:
        """Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Close and delete."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
