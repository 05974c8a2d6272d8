"""One layer on its way in: from the socket to its ingest and, at once, through hash and decompression into a directory.

What was fetched stays in the ingest, named by the digest, until the whole image is there: a pull that was cancelled, failed
or killed goes on from it, unpacking from the disk what is there and fetching only the rest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dockwright import archive, faults, workers
from dockwright.archive import Source
from dockwright.archive.source import CHUNK, drain
from dockwright.content import LocalBlobs, Partial
from dockwright.distribution import Repository
from dockwright.errors import Corrupt, HostFailure, Invalid
from dockwright.flights import Slots
from dockwright.image.progress import Tell
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest
from dockwright.snapshot import Staged


@dataclass
class Arrived:
    """A layer that is here: verified and unpacked into `staged`. `taken` when a stack made use of that directory.

    Its blob becomes one of the store's by `commit`; `partial` is None when it was stored before.
    """

    blob: Descriptor
    diff_id: Digest
    staged: Staged
    partial: Partial | None
    fetched_bytes: int
    taken: bool = False

    def settle(self) -> None:
        """Bring everything to the disk. Blocking. Raises `HostFailure`."""
        try:
            self.staged.settle()
            if self.partial is not None:
                self.partial.sync()
        except HostFailure:
            if self.partial is not None:
                self.partial.discard()
            raise

    async def commit(self) -> None:
        """Make the blob visible. Safe to call again; callers take turns."""
        if self.partial is not None:
            await workers.bulk(self.partial.commit, self.blob.digest, self.blob.size)
            self.partial = None

    def refill(self, blobs: LocalBlobs, staged: Staged) -> None:
        """Unpack the layer once more, from wherever its blob is. Blocking."""
        stored = blobs.path(self.blob.digest)
        path = self.partial.path if self.partial is not None and not stored.exists() else stored
        refill(path, staged, self.diff_id)


@asynccontextmanager
async def arriving(
    store: Store, repository: Repository, blob: Descriptor, diff_id: Digest, slots: Slots, tell: Tell
) -> AsyncIterator[Arrived]:
    """Bring a layer here; leaving the context drops the directory unless a stack took it, and keeps the ingest.

    Raises `Corrupt` or `Invalid` for content that is not what the image says, and what the repository raises.
    """
    async with AsyncExitStack() as stack:
        if slots.full:
            tell("Waiting", None, None)
        async with slots.slot():
            arrived = await _bring(store, repository, blob, diff_id, tell, stack)
        # Without the slot: the next layer comes over the network while this one goes to the disk.
        await archive.run(arrived.settle, lambda: None)
        yield arrived


async def _bring(
    store: Store, repository: Repository, blob: Descriptor, diff_id: Digest, tell: Tell, stack: AsyncExitStack
) -> Arrived:
    staged = await stack.enter_async_context(store.layers.stage())
    path = store.blobs.path(blob.digest)
    if await workers.quick(path.exists):
        tell("Extracting", None, None)
        await archive.run(lambda: refill(path, staged, diff_id), staged.stop)
        tell("Extracting", blob.size, blob.size)
        return Arrived(blob, diff_id, staged, None, 0)
    partial = await stack.enter_async_context(store.blobs.resume(blob.digest))
    resumed_at = partial.offset
    if resumed_at:
        try:
            await _stream(repository, partial, staged, blob, diff_id, tell)
            return Arrived(blob, diff_id, staged, partial, blob.size - resumed_at)
        except (Corrupt, Invalid):
            # What was on the disk may be the culprit: once more, from the beginning.
            await workers.bulk(partial.restart)
            staged = await stack.enter_async_context(store.layers.stage())
    await _stream(repository, partial, staged, blob, diff_id, tell)
    return Arrived(blob, diff_id, staged, partial, blob.size)


async def _stream(
    repository: Repository, partial: Partial, staged: Staged, blob: Descriptor, diff_id: Digest, tell: Tell
) -> None:
    if partial.offset > blob.size:
        await workers.bulk(partial.restart)
    async with aclosing(_counted(repository, blob, partial.offset, tell)) as chunks:
        await archive.consume(chunks, lambda source: _take_in(partial, source, staged, blob, diff_id))
    tell("Extracting", blob.size, blob.size)


async def _counted(repository: Repository, blob: Descriptor, offset: int, tell: Tell) -> AsyncGenerator[bytes, None]:
    if offset < blob.size:
        async with aclosing(repository.blob(blob, offset)) as chunks:
            async for chunk in chunks:
                offset += len(chunk)
                tell("Downloading", offset, blob.size)
                yield chunk
    tell("Verifying Checksum", None, None)
    tell("Download complete", None, None)


def _take_in(partial: Partial, rest: Source, staged: Staged, blob: Descriptor, diff_id: Digest) -> None:
    """Everything that happens to the bytes, in one pass. Blocking."""
    whole = _Joined(partial.stored(), archive.Tapped(rest, partial.write))
    try:
        try:
            staged.receive(archive.decompressed(whole), diff_id)
        except (Corrupt, Invalid):
            drain(whole)
            partial.verify(blob.digest, blob.size)  # the registry's fault is told before the image's
            raise
        drain(whole)
        faults.point("pull.layer")
        partial.verify(blob.digest, blob.size)
    except (Corrupt, Invalid, HostFailure):
        partial.discard()
        raise


def refill(path: Path, staged: Staged, diff_id: Digest) -> None:
    """Unpack a layer whose blob is at `path`. Blocking."""
    with path.open("rb") as file:
        staged.fill(archive.decompressed(file), diff_id)


class _Joined:
    """What is on the disk, then what comes."""

    def __init__(self, stored: Iterator[bytes], rest: Source) -> None:
        self._stored, self._rest = stored, rest
        self._held = b""

    def read(self, size: int = CHUNK, /) -> bytes:
        """See `Source.read`."""
        chunk = self._held or next(self._stored, b"")
        if not chunk:
            return self._rest.read(size)
        self._held = chunk[size:]
        return chunk[:size]
