"""The stream of a `load` into the store, in whatever order it comes: every file a blob, and what looks like a layer unpacked
on the way, so that its bytes are handled once.

An uncompressed layer that was unpacked whole need not be kept as a blob beside that (see `archive.recipe`): its blob stays a
partial, which `Spooled.keep` commits or `Spooled.give_up` drops, once the documents have told what the file is.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import AsyncIterable, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from dockwright import archive, workers
from dockwright.archive import Source, tarformat
from dockwright.archive.reader import TarReader
from dockwright.archive.source import CHUNK, drain
from dockwright.content import Partial
from dockwright.errors import Corrupt, Invalid
from dockwright.image.leases import Lease
from dockwright.image.store import Store
from dockwright.oci import Digest
from dockwright.snapshot import Staged

T = TypeVar("T")

_BLOB = re.compile(rb"blobs/(sha256|sha384|sha512)/([0-9a-f]{64,128})")
_FILES = 200_000
# Smaller files are quickly read again, and more than so many layers no image has.
_LAYER_BYTES = 64 * 1024
_LAYERS = 500


@dataclass
class Unpacked:
    """A layer on disk, not yet part of any stack, and its blob, not yet visible (None once that was decided)."""

    staged: Staged
    partial: Partial | None


@dataclass
class Spooled:
    """What the archive held: regular files by path, links, and layers by the digest of their (uncompressed) blob."""

    files: dict[str, tuple[Digest, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    layers: dict[Digest, Unpacked] = field(default_factory=dict)

    def find(self, path: str) -> tuple[Digest, int]:
        """The file at `path`, through links. Raises `Invalid`."""
        here = posixpath.normpath(path)
        for _ in range(40):
            if here in self.files:
                return self.files[here]
            if here not in self.links:
                break
            here = self.links[here]
        raise Invalid(f"invalid archive: it lacks {path}")

    async def keep(self, digests: Iterable[Digest]) -> None:
        """Make the blobs of these layers visible."""
        for digest in digests:
            if (layer := self.layers.get(digest)) is not None and layer.partial is not None:
                partial, layer.partial = layer.partial, None
                await workers.bulk(partial.commit, digest)

    async def give_up(self, digests: Iterable[Digest]) -> None:
        """The blobs of these layers are not needed."""
        for digest in digests:
            if (layer := self.layers.get(digest)) is not None and layer.partial is not None:
                partial, layer.partial = layer.partial, None
                await workers.quick(partial.discard)


async def spool(store: Store, lease: Lease, stream: AsyncIterable[bytes], stack: AsyncExitStack) -> Spooled:
    """Everything in the tar `stream`, plain or compressed; `lease` holds it, and `stack` drops what nobody took.

    Raises `Invalid` or `Corrupt` for a bad archive.
    """
    work = _Spooler(store, lease, stack)
    stack.push_async_callback(work.spooled.give_up, work.spooled.layers)
    return await archive.consume(stream, lambda source: work.run(archive.decompressed(source)))


class _Spooler:
    """The part in a thread. What belongs to the loop is asked of the loop, which waits for nothing of this thread's."""

    def __init__(self, store: Store, lease: Lease, stack: AsyncExitStack) -> None:
        self._store, self._lease, self._stack = store, lease, stack
        self._loop = asyncio.get_running_loop()
        self.spooled = Spooled()

    def run(self, source: Source) -> Spooled:
        found = self.spooled
        reader = TarReader(source)
        for entry in reader.entries():
            raw = tarformat.checked_name(entry.name)
            path = raw.decode(errors="surrogateescape")
            if len(found.files) + len(found.links) >= _FILES:
                raise Invalid(f"invalid archive: more than {_FILES} files")
            if entry.kind == tarformat.REGULAR:
                found.files[path] = self._file(_Data(reader.data()), entry.size, _promised(raw))
            elif entry.kind == tarformat.SYMLINK:
                target = posixpath.join(posixpath.dirname(path), entry.target.decode(errors="surrogateescape"))
                found.links[path] = posixpath.normpath(target)
            elif entry.kind == tarformat.HARDLINK:
                found.links[path] = posixpath.normpath(entry.target.decode(errors="surrogateescape"))
        return found

    def _file(self, data: _Data, size: int, promised: Digest | None) -> tuple[Digest, int]:
        partial = self._store.blobs.begin()
        kept = False
        try:
            if size >= _LAYER_BYTES and len(self.spooled.layers) < _LAYERS and data.is_tar():
                staged = self._ask(self._stage())
                whole = self._unpack(archive.Tapped(data, partial.write), staged)
                digest = partial.verify(promised)
                self._ask(self._lease.hold([digest]))
                if whole and digest not in self.spooled.layers:
                    self.spooled.layers[digest] = Unpacked(staged, partial)
                    staged.diff_id = digest
                    kept = True
                    return digest, size
            else:
                drain(archive.Tapped(data, partial.write))
                digest = partial.verify(promised)
                self._ask(self._lease.hold([digest]))
            partial.commit(promised)
            return digest, size
        finally:
            if not kept:
                partial.discard()

    def _unpack(self, data: Source, staged: Staged) -> bool:
        """Whether the layer can do without its blob."""
        try:
            contents = staged.unpack(data)
        except (Invalid, Corrupt):
            drain(data)  # no layer, or a bad one: whoever needs it will be told
            return False
        return contents.regenerable and contents.independent

    async def _stage(self) -> Staged:
        return await self._stack.enter_async_context(self._store.layers.stage())

    def _ask(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Data:
    """An entry's data as a `Source`."""

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces, self._held = pieces, b""

    def is_tar(self) -> bool:
        """Whether it begins with a tar header."""
        while len(self._held) < tarformat.BLOCK and (piece := next(self._pieces, None)) is not None:
            self._held += bytes(piece)
        return self._held[257:262] == b"ustar"

    def read(self, size: int = CHUNK, /) -> bytes:
        """See `Source.read`."""
        chunk = self._held or bytes(next(self._pieces, b""))
        self._held = chunk[size:]
        return chunk[:size] if self._held else chunk


def _promised(path: bytes) -> Digest | None:
    match = _BLOB.fullmatch(path)
    return Digest(f"{match[1].decode()}:{match[2].decode()}") if match else None
