"""How records look in a file: bytes in, values out, no I/O.

`JsonLines` is Docker's json-file format, one object a line: {"log":…,"stream":…,"attrs":…,"time":…}. `Frames` is the format
of the `local` driver: length, time, stream, data, length again, so that it can be read from the end.
"""

from __future__ import annotations

import calendar
import re
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from dockwright.logs.record import PIECE_BYTES, STREAMS, Record

#: No entry is longer; what claims to be is damaged.
ENTRY_LIMIT = 16 * PIECE_BYTES
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class Codec(Protocol):
    """A format of entries in a file."""

    def encode(self, records: Sequence[Record]) -> bytes:
        """Entries for records."""
        ...

    def decode(self, data: bytes) -> tuple[list[Record], int]:
        """The records of the whole entries in `data`, which begins at one, and how many bytes they took.

        Damaged entries are stepped over.
        """
        ...

    def last_starts(self, data: bytes, at_start: bool) -> Iterator[int]:
        """Where the entries at the end of `data` begin, last first; `at_start` says that `data` begins with an entry."""
        ...


class JsonLines:
    """Docker's json-file."""

    def __init__(self, attributes: Mapping[str, str] | None = None) -> None:
        self._attributes = b""
        if attributes:
            self._attributes = b',"attrs":' + _escape(msgspec.json.encode(dict(attributes)))

    def encode(self, records: Sequence[Record]) -> bytes:
        """See `Codec.encode`. Bytes that are no UTF-8 become U+FFFD, as in Docker."""
        parts: list[bytes] = []
        encode, attributes = msgspec.json.encode, self._attributes
        for record in records:
            text = _escape(encode(record.data.decode("utf-8", "replace")))
            parts.append(
                b'{"log":%b,"stream":"%b"%b,"time":"%b"}\n'
                % (text, record.stream.encode(), attributes, format_time(record.time_ns))
            )
        return b"".join(parts)

    def decode(self, data: bytes) -> tuple[list[Record], int]:
        """See `Codec.decode`."""
        end = data.rfind(b"\n") + 1
        found: list[Record] = []
        for line in data[:end].splitlines():
            try:
                entry = _decode_entry(line)
                found.append(Record(entry.stream, parse_time(entry.time.encode()), entry.log.encode()))
            except (msgspec.DecodeError, ValueError, UnicodeEncodeError):
                continue
        if not end and len(data) > ENTRY_LIMIT:
            end = len(data)
        return found, end

    def last_starts(self, data: bytes, at_start: bool) -> Iterator[int]:
        """See `Codec.last_starts`."""
        end = data.rfind(b"\n")
        while end > 0:
            newline = data.rfind(b"\n", 0, end)
            if newline < 0:
                break
            yield newline + 1
            end = newline
        if at_start and end >= 0:
            yield 0


class Frames:
    """The `local` driver's own format: little-endian length, then time (i64), stream (u8), data, then length again."""

    _HEAD = struct.Struct("<IqB")
    _LENGTH = struct.Struct("<I")
    _FIXED = _HEAD.size - _LENGTH.size

    def encode(self, records: Sequence[Record]) -> bytes:
        """See `Codec.encode`."""
        parts: list[bytes] = []
        for stream, time_ns, data in records:
            length = self._FIXED + len(data)
            parts += (self._HEAD.pack(length, time_ns, STREAMS.index(stream)), data, self._LENGTH.pack(length))
        return b"".join(parts)

    def decode(self, data: bytes) -> tuple[list[Record], int]:
        """See `Codec.decode`. A damaged length ends the file: there is no way to find the next entry."""
        found: list[Record] = []
        offset = 0
        while offset + self._HEAD.size <= len(data):
            length, time_ns, stream = self._HEAD.unpack_from(data, offset)
            end = offset + self._LENGTH.size + length
            if not self._FIXED <= length <= ENTRY_LIMIT or stream >= len(STREAMS):
                return found, len(data)
            if end + self._LENGTH.size > len(data):
                break
            found.append(Record(STREAMS[stream], time_ns, data[offset + self._HEAD.size : end]))
            offset = end + self._LENGTH.size
        return found, offset

    def last_starts(self, data: bytes, at_start: bool) -> Iterator[int]:
        """See `Codec.last_starts`."""
        end = len(data)
        while end >= 2 * self._LENGTH.size:
            length = self._LENGTH.unpack_from(data, end - self._LENGTH.size)[0]
            start = end - 2 * self._LENGTH.size - length
            if not self._FIXED <= length <= ENTRY_LIMIT or start < 0:
                return
            yield start
            end = start


class _Entry(msgspec.Struct):
    log: str = ""
    stream: str = "stdout"
    time: str = ""


_decode_entry = msgspec.json.Decoder(_Entry).decode


def _escape(text: bytes) -> bytes:
    """What Go's encoder escapes besides: so that a log embedded in HTML stays text."""
    if b"<" in text or b">" in text or b"&" in text:
        return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    return text


_formatted: tuple[int, bytes] = (0, b"1970-01-01T00:00:00")


def format_time(time_ns: int) -> bytes:
    """RFC 3339 in UTC with nanoseconds, trailing zeros dropped, as Go's RFC3339Nano."""
    global _formatted
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    if _formatted[0] != seconds:
        _formatted = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode())
    if not fraction:
        return _formatted[1] + b"Z"
    return b"%b.%bZ" % (_formatted[1], b"%09d" % fraction if fraction % 10 else (b"%09d" % fraction).rstrip(b"0"))


_parsed: dict[bytes, int] = {}


def parse_time(text: bytes) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time. Raises `ValueError`."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"no time: {text[:40]!r}")
    whole, fraction, zone = match.groups()
    seconds = _parsed.get(whole + zone)
    if seconds is None:
        seconds = calendar.timegm(time.strptime(whole.decode(), "%Y-%m-%dT%H:%M:%S"))
        if zone != b"Z":
            offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
            seconds += offset if zone[:1] == b"-" else -offset
        if len(_parsed) > 1000:
            _parsed.clear()
        _parsed[whole + zone] = seconds
    return seconds * 1_000_000_000 + (int(fraction.ljust(9, b"0")) if fraction else 0)
