"""The seam `BlobStore`: immutable content, named by its digest.

A blob's life: bytes are written to an ingest; `commit` holds them against the digest the caller expects and makes the blob
visible in one step; it is then read any number of times and deleted once nobody needs it.

    async with blobs.ingest() as ingest:
        async for chunk in body:
            await ingest.write(chunk)
        info = await ingest.commit(expected_digest, expected_size)
    async for chunk in blobs.open(info.digest):
        ...

An ingest with a name outlives the context when it was not committed, and the process: `ingest(name)` again goes on at
`offset`. One without a name leaves nothing. The conformance suite is `tests/engine/content/conformance.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import NamedTuple, Protocol

from dockwright.errors import Corrupt
from dockwright.oci import Digest
from dockwright.oci import digest as digests


class BlobInfo(NamedTuple):
    """What the store knows of a blob; times are nanoseconds since 1970."""

    digest: Digest
    size_bytes: int
    created_ns: int


class Ingest(Protocol):
    """Content on its way in. Used by one task at a time."""

    @property
    def offset(self) -> int:
        """How many bytes are there already."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Append `chunk`. Back-pressure: returns when there is room for more."""
        ...

    async def restart(self) -> None:
        """Forget what was written and begin at offset 0 again."""
        ...

    async def commit(self, expected: Digest | None = None, size_bytes: int | None = None) -> BlobInfo:
        """Make the blob visible, durable and whole. Committing content that is stored already is fine.

        Raises `Corrupt` when digest or size are not the expected ones; the bytes are then gone, named ingest or not.
        """
        ...


class BlobStore(Protocol):
    """Immutable content by digest. Every method may be called from several tasks at once."""

    def open(self, digest: Digest, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The blob's bytes from `offset` on. Raises `NotFound` on the first step.

        A blob deleted meanwhile is read to its end. Close the generator when you stop early.
        """
        ...

    def ingest(self, name: str | None = None) -> AbstractAsyncContextManager[Ingest]:
        """Begin, or with a known `name` go on with, content. Raises `Conflict` while the same name is being ingested."""
        ...

    async def stat(self, digest: Digest) -> BlobInfo:
        """Raises `NotFound`."""
        ...

    async def delete(self, digest: Digest) -> None:
        """Remove the blob. Safe to call again."""
        ...

    def walk(self) -> AsyncIterator[BlobInfo]:
        """Every blob, in no particular order; those that come or go meanwhile may be told or not."""
        ...


async def put(blobs: BlobStore, content: bytes) -> BlobInfo:
    """Store `content`, a small document."""
    async with blobs.ingest() as ingest:
        await ingest.write(content)
        return await ingest.commit(digests.of(content), len(content))


async def read(blobs: BlobStore, digest: Digest, limit_bytes: int = 8 * 1024 * 1024) -> bytes:
    """A small document as a whole, held against its digest again.

    Raises `NotFound`, and `Corrupt` when it is longer than `limit_bytes` or the disk gave back something else.
    """
    content = bytearray()
    async with aclosing(blobs.open(digest)) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > limit_bytes:
                raise Corrupt(f"{digest} is longer than {limit_bytes} bytes")
    return digests.verify(digest, bytes(content))
