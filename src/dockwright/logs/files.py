"""The drivers that keep records in files: `json-file` and `local`, and the reader both share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from dockwright.errors import Invalid
from dockwright.logs import options as opts
from dockwright.logs.codec import ENTRY_LIMIT, Codec, Frames, JsonLines
from dockwright.logs.record import LogInfo, Mark, Query, Reader, Record
from dockwright.logs.rotating import Limits, RotatingFile

FILE_OPTIONS = frozenset({"max-size", "max-file", "compress"})
_CHUNK = 256 * 1024


class FileDriver:
    """`LogDriver` and `Readable` on a `RotatingFile` with some codec."""

    def __init__(self, name: str, path: Path, limits: Limits, codec: Codec, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.path = path
        self._codec = codec
        self._attributes = dict(attributes)
        self._file = RotatingFile(path, limits)

    def write(self, records: Sequence[Record]) -> None:
        """See `LogDriver.write`."""
        if records:
            self._file.append(self._codec.encode(records))

    def mark(self) -> Mark:
        """See `LogDriver.mark`."""
        return self._file.mark()

    def rotate_if_full(self) -> bool:
        """See `LogDriver.rotate_if_full`."""
        return self._file.rotate_if_full()

    def rewind(self, mark: Mark | None) -> None:
        """See `LogDriver.rewind`."""
        if mark is None:
            self._mend()
        else:
            self._file.rewind(mark)

    def attributes(self) -> Mapping[str, str]:
        """See `Readable.attributes`."""
        return self._attributes

    def open_reader(self, query: Query) -> Reader:
        """See `Readable.open_reader`."""
        return FileReader(self._file, self._codec, query)

    def close(self) -> None:
        """See `LogDriver.close`."""
        self._file.close()

    def remove(self) -> None:
        """Delete every file."""
        self._file.remove()

    def _mend(self) -> None:
        """What a power cut tore: a line is cut off; a file of frames is left as it is and a new one begun."""
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size - 2 * ENTRY_LIMIT)
            file.seek(start)
            data = file.read()
        if isinstance(self._codec, JsonLines):
            whole = start + data.rfind(b"\n") + 1
            if whole < size:
                self._file.cut(whole)
        elif data and next(self._codec.last_starts(data, at_start=start == 0), None) is None:
            self._file.rotate()


class FileReader:
    """Reads the files oldest first, then what is appended; memory stays at one chunk."""

    def __init__(self, file: RotatingFile, codec: Codec, query: Query) -> None:
        self._file = file
        self._codec = codec
        self._query = query
        self._number = 0
        self._open: BinaryIO | None = None
        self._rest = b""
        self._skip = 0
        self._started = False
        self.finished = query.tail == 0 and not query.follow

    def read(self) -> Iterator[Record]:
        """See `Reader.read`."""
        if not self._started:
            self._started = True
            self._start()
        while not self.finished:
            data = self._open.read(_CHUNK) if self._open is not None else b""
            if data:
                yield from self._records(data)
            elif not self._next():
                return

    def close(self) -> None:
        """See `Reader.close`."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _records(self, data: bytes) -> Iterator[Record]:
        found, used = self._codec.decode(self._rest + data)
        self._rest = (self._rest + data)[used:]
        until = self._query.until_ns
        for record in found:
            if until and record.time_ns > until:
                self.finished = True
                return
            if self._query.wants(record):
                if self._skip > 0:
                    self._skip -= 1
                else:
                    yield record

    def _next(self) -> bool:
        """Step to the next newer file; False when this is the newest."""
        if self._open is not None and self._number >= self._file.newest:
            return False
        # The file was rotated away: what was appended between the last read and the rotation comes first.
        if self._open is not None and (data := self._open.read(_CHUNK)):
            self._open.seek(-len(data), os.SEEK_CUR)
            return True
        number = max(self._number + 1, self._file.oldest()) if self._open is not None else self._number
        following = self._file.segment(number)
        while following is None and number < self._file.newest:
            number += 1
            following = self._file.segment(number)
        if following is None:
            return False
        self.close()
        self._number, self._open, self._rest = number, following, b""
        return True

    def _start(self) -> None:
        if self._query.tail is None:
            self._number = self._file.oldest()
            self._open = self._file.segment(self._number)
            return
        wanted = self._query.tail
        number = self._file.newest
        oldest = self._file.oldest()
        while True:
            segment = self._file.segment(number)
            if segment is None:
                number += 1
                self._open, self._number = self._file.segment(number), number
                return
            count, position = self._from_end(segment, wanted)
            if count >= wanted or number <= oldest:
                segment.seek(position)
                self._open, self._number = segment, number
                return
            segment.close()
            wanted -= count
            number -= 1

    def _from_end(self, segment: BinaryIO, wanted: int) -> tuple[int, int]:
        """How many wanted records the file has, `wanted` at most, and where the first of these begins."""
        if wanted == 0:
            return 0, segment.seek(0, os.SEEK_END)
        if not hasattr(segment, "raw") or type(segment).__name__ != "BufferedReader":
            return self._from_start(segment, wanted)
        end = segment.seek(0, os.SEEK_END)
        count = 0
        while end > 0:
            start = max(0, end - _CHUNK)
            segment.seek(start)
            data = segment.read(end - start)
            reached = end
            for offset in self._codec.last_starts(data, at_start=start == 0):
                records, _ = self._codec.decode(data[offset : reached - start])
                reached = start + offset
                count += sum(self._counts(record) for record in records)
                if count >= wanted:
                    return count, reached
            if reached == end:  # nothing whole in a chunk: damaged, or an entry that is too long
                return count, end
            end = reached
        return count, 0

    def _from_start(self, segment: BinaryIO, wanted: int) -> tuple[int, int]:
        """The same for a gzipped file, which cannot be read backwards: count, then leave out while reading."""
        count, rest = 0, b""
        while data := segment.read(_CHUNK):
            found, used = self._codec.decode(rest + data)
            rest = (rest + data)[used:]
            count += sum(self._counts(record) for record in found)
        self._skip = max(0, count - wanted)
        return min(count, wanted), 0

    def _counts(self, record: Record) -> bool:
        until = self._query.until_ns
        return self._query.wants(record) and not (until and record.time_ns > until)


def limits(options: Mapping[str, str], *, compress: bool, prefix: str = "") -> Limits:
    """`max-size`, `max-file` and `compress`. Raises `Invalid` for what Docker refuses."""
    size = opts.DEFAULT_SIZE_BYTES
    if text := options.get(prefix + "max-size"):
        size = opts.size_bytes(text, "max-size")
    files = opts.DEFAULT_FILES
    if text := options.get(prefix + "max-file"):
        files = opts.whole(text, "max-file")
    if text := options.get(prefix + "compress"):
        compress = opts.boolean(text)
        if compress and files < 2:
            raise Invalid("compress cannot be true when max-file is less than 2 or max-size is not set")
    return Limits(size, files, compress and files > 1)


def open_json_file(info: LogInfo, options: Mapping[str, str]) -> FileDriver:
    """Docker's default: `<folder>/<id>-json.log`."""
    attributes = opts.all_attributes(info, options)
    path = Path(info.folder, f"{info.container_id}-json.log")
    return FileDriver("json-file", path, limits(options, compress=False), JsonLines(attributes), attributes)


def open_local(info: LogInfo, options: Mapping[str, str]) -> FileDriver:
    """The compact one: `<folder>/local-logs/container.log`."""
    path = Path(info.folder, "local-logs", "container.log")
    attributes = opts.all_attributes(info, options)
    return FileDriver("local", path, limits(options, compress=True), Frames(), attributes)


def open_cache(info: LogInfo, options: Mapping[str, str]) -> FileDriver:
    """What makes `logs` work for drivers that only send: `<folder>/container-cached.log`, as Docker's dual logging."""
    path = Path(info.folder, "container-cached.log")
    attributes = opts.all_attributes(info, options)
    return FileDriver("local", path, limits(options, compress=True, prefix="cache-"), Frames(), attributes)
