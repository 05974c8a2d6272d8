"""Recipes: how to make a tar again, byte for byte, out of the directory it was unpacked to.

A layer that is kept unpacked need not be kept as a tar as well. The recipe holds everything of the tar that is no file
data (headers, padding, the end) and names the files between; zstd makes it about one percent of a usual layer.

On disk: a zstd stream of records `literal length (u32), literal, name length (u16), name, data length (u64)`, ended by a
record with an empty name.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import zstandard

from dockwright.archive.root import Root
from dockwright.archive.source import CHUNK
from dockwright.errors import Corrupt, HostFailure

_LITERAL = struct.Struct("<I")
_NAME = struct.Struct("<H")
_SIZE = struct.Struct("<Q")
_FLUSH = 256 * 1024


class RecipeWriter:
    """Notes a recipe while a tar is unpacked. `spoil` it when some data will not be found in the directory later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._zstd = zstandard.ZstdCompressor(level=3).compressobj()
        self._literal = bytearray()
        self._pending = bytearray()
        self.whole = True

    def literal(self, raw: bytes) -> None:
        """Bytes of the archive that are no file data."""
        if not self.whole:
            return
        self._literal += raw
        if len(self._literal) > _FLUSH:
            self._emit(b"", 0, more=True)

    def data(self, name: bytes, size_bytes: int) -> None:
        """Here stands the content of the file `name`."""
        if self.whole and size_bytes:
            self._emit(name, size_bytes)

    def spoil(self) -> None:
        """This archive cannot be made again from the directory."""
        self.whole = False

    def close(self) -> bool:
        """Finish; whether there is a recipe. Without one the file is gone."""
        if self._file.closed:
            return self.whole
        if self.whole:
            self._emit(b"", 0)
            self._write(self._zstd.compress(bytes(self._pending)) + self._zstd.flush())
        try:
            self._file.close()
        except OSError as error:
            raise HostFailure(f"writing the recipe of a layer: {error.strerror}") from error
        if not self.whole:
            self._path.unlink()
        return self.whole

    def _emit(self, name: bytes, size_bytes: int, *, more: bool = False) -> None:
        # A long literal is split: a record that names the root's own "." with no data says that it goes on.
        if more:
            name = b"."
        self._pending += _LITERAL.pack(len(self._literal)) + self._literal
        self._pending += _NAME.pack(len(name)) + name + _SIZE.pack(size_bytes)
        self._literal.clear()
        if len(self._pending) > _FLUSH:
            self._write(self._zstd.compress(bytes(self._pending)))
            self._pending.clear()

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise HostFailure(f"writing the recipe of a layer: {error.strerror}") from error


def replay(recipe: Path, tree: Path) -> Iterator[bytes]:
    """The tar again, in pieces. Raises `Corrupt` when a file is missing or has another size. Hold it against the digest."""
    pending: list[bytes] = []
    size = 0
    for piece in _pieces(recipe, tree):
        pending.append(piece)
        size += len(piece)
        if size >= _FLUSH:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)


def _pieces(recipe: Path, tree: Path) -> Iterator[bytes]:
    with recipe.open("rb") as file, Root(tree) as root:
        raw = cast("io.RawIOBase", zstandard.ZstdDecompressor().stream_reader(file))
        stream = cast("IO[bytes]", io.BufferedReader(raw, CHUNK))
        while True:
            (length,) = _LITERAL.unpack(_exactly(stream, _LITERAL.size))
            if length:
                yield _exactly(stream, length)
            (length,) = _NAME.unpack(_exactly(stream, _NAME.size))
            name = _exactly(stream, length)
            (size,) = _SIZE.unpack(_exactly(stream, _SIZE.size))
            if not name:
                return
            if size:
                yield from _content(root, name, size)


def _content(root: Root, name: bytes, size: int) -> Iterator[bytes]:
    try:
        folder, base = root.parent(name)
        fd = os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise Corrupt(f"layer file {name!r}: {error.strerror}") from error
    try:
        while size:
            chunk = os.read(fd, min(size, CHUNK))
            if not chunk:
                raise Corrupt(f"layer file {name!r} is too short")
            size -= len(chunk)
            yield chunk
    finally:
        os.close(fd)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Corrupt("layer recipe ends too early")
    return data
