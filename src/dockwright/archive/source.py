"""Byte sources of archives: what worker threads read from. Raw, counted, hashed, decompressed."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from typing import IO, Protocol, cast

import zstandard
from isal import igzip_lib

from dockwright.errors import Corrupt

CHUNK = 1024 * 1024
_INPUT = 256 * 1024
_ISAL_ERROR = cast("type[Exception]", igzip_lib.IsalError)
_MEMORY_LIMIT = 256 * 1024 * 1024


class Source(Protocol):
    """Something to read from, blocking."""

    def read(self, size: int = CHUNK, /) -> bytes:
        """Up to `size` bytes; empty at the end."""
        ...


class Prefixed:
    """A source with bytes put back in front."""

    def __init__(self, prefix: bytes, rest: Source) -> None:
        self._prefix, self._rest = prefix, rest

    def read(self, size: int = CHUNK, /) -> bytes:
        """See `Source.read`."""
        if self._prefix:
            out, self._prefix = self._prefix[:size], self._prefix[size:]
            return out
        return self._rest.read(size)


class Tapped:
    """A source that shows everything that is read to `tap` (a hash, a file)."""

    def __init__(self, rest: Source, tap: Callable[[bytes], object]) -> None:
        self._rest, self._tap = rest, tap

    def read(self, size: int = CHUNK, /) -> bytes:
        """See `Source.read`."""
        chunk = self._rest.read(size)
        if chunk:
            self._tap(chunk)
        return chunk


_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257


def is_tar(head: bytes) -> bool:
    """Whether `head`, the first 512 bytes or more, begin a plain tar."""
    return head.startswith(_TAR_MAGIC, _TAR_MAGIC_AT)


def is_packed(head: bytes) -> bool:
    """Whether `head` begins a plain tar, or something that `decompressed` unpacks."""
    return is_tar(head) or head.startswith((_GZIP, _BZIP2, _XZ, _ZSTD))


def drain(source: Source) -> None:
    """Read to the end."""
    while source.read(CHUNK):
        pass


def decompressed(source: Source) -> Source:
    """The source itself, or what gzip, zstd, bzip2 or xz made of it, by its first bytes."""
    head = b""
    while len(head) < 6 and (more := source.read(_INPUT)):
        head += more
    whole = Prefixed(head, source)
    if head.startswith(_GZIP):
        return _Decompressed(whole, "gzip", lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP))
    if head.startswith(_ZSTD) or (len(head) > 3 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18"):
        return _Zstd(whole)
    if head.startswith(_BZIP2):
        return _Decompressed(whole, "bzip2", bz2.BZ2Decompressor)
    if head.startswith(_XZ):
        return _Decompressed(whole, "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_LIMIT))
    return whole


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Decompressed:
    """Any of the standard library's kind of decompressors; streams that follow each other count as one."""

    def __init__(self, source: Source, name: str, make: Callable[[], _Decompressor]) -> None:
        self._source, self._name, self._make = source, name, make
        self._state = make()
        self._ended = False

    def read(self, size: int = CHUNK, /) -> bytes:
        """See `Source.read`. Raises `Corrupt`."""
        try:
            while not self._ended:
                if chunk := self._step(size):
                    return chunk
        except (OSError, EOFError, ValueError, lzma.LZMAError, _ISAL_ERROR) as error:
            raise Corrupt(f"malformed {self._name} data: {error}") from error
        return b""

    def _step(self, size: int) -> bytes:
        if self._state.eof:
            # Padding after the last stream is usual on tapes and in some registries.
            rest = self._state.unused_data.lstrip(b"\0")
            while not rest and (more := self._source.read(_INPUT)):
                rest = more.lstrip(b"\0")
            if not rest:
                self._ended = True
                return b""
            self._state = self._make()
            return self._state.decompress(rest, size)
        if not self._state.needs_input:
            return self._state.decompress(b"", size)
        data = self._source.read(_INPUT)
        if not data:
            raise Corrupt(f"{self._name} data ends too early")
        return self._state.decompress(data, size)


# Repeated, so that its compressed form does not end like itself.
_MARK = b"the end of a zstd stream;" * 4
_MARK_FRAME = zstandard.compress(_MARK)


class _Zstd:
    """The zstd reader takes a stream that was cut short for one that ended. So a frame of our own is put after the last
    byte: it comes out at the end when everything before it was whole, and not otherwise."""

    def __init__(self, source: Source) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=128 * 1024 * 1024)
        marked = cast("IO[bytes]", _Marked(source))
        self._reader = decompressor.stream_reader(marked, read_size=_INPUT, read_across_frames=True)
        self._held = b""

    def read(self, size: int = CHUNK, /) -> bytes:
        """See `Source.read`. Raises `Corrupt`."""
        while True:
            try:
                chunk = self._reader.read(max(size, len(_MARK)))
            except zstandard.ZstdError as error:
                raise Corrupt(f"malformed zstd data: {error}") from error
            if not chunk:
                if self._held not in (_MARK, b""):
                    raise Corrupt("zstd data ends too early")
                self._held = b""
                return b""
            data = self._held + chunk
            out, self._held = data[: -len(_MARK)], data[-len(_MARK) :]
            if out:
                return out


class _Marked:
    def __init__(self, source: Source) -> None:
        self._source, self._marked = source, False

    def read(self, size: int) -> bytes:
        chunk = self._source.read(size)
        if chunk or self._marked:
            return chunk
        self._marked = True
        return _MARK_FRAME
