"""`BlobStore` on the local file system.

<root>/blobs/<algorithm>/<hex>     whole, verified, never changed
<root>/ingest/<id>                 anonymous partials: collected when the store is opened
<root>/ingest/name-<hash of name>  named partials: kept to be resumed, collected when nobody came back for a week
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from dockwright import workers
from dockwright.content.blobstore import BlobInfo
from dockwright.content.partial import Partial
from dockwright.errors import Conflict, NotFound
from dockwright.oci import Digest
from dockwright.oci import digest as digests
from dockwright.undo import shielded

READ_BYTES = 1024 * 1024
WRITE_BYTES = 512 * 1024
PARTIAL_KEPT_S = 7 * 24 * 3600


class LocalBlobs:
    """Blobs below one directory, which this object alone owns."""

    def __init__(self, root: Path) -> None:
        self._blobs, self._ingests = root / "blobs", root / "ingest"
        self._names: set[str] = set()

    @classmethod
    async def open_at(cls, root: Path) -> LocalBlobs:
        """Open or create the store at `root` and collect what a crash left behind."""
        store = cls(root)
        await workers.quick(store._prepare)
        return store

    def path(self, digest: Digest) -> Path:
        """Where the blob is, or would be: for `sendfile` and for reading in worker threads. Never to be written."""
        return self._blobs / digests.algorithm(digest) / digests.encoded(digest)

    def disk_bytes(self, digest: Digest) -> int | None:
        """What the blob takes on the disk; None where it is not stored. Blocking, and quick: lists ask for thousands."""
        try:
            at = os.stat(f"{self._blobs}/{digests.algorithm(digest)}/{digests.encoded(digest)}")
        except FileNotFoundError:
            return None
        return at.st_blocks * 512

    def begin(self) -> Partial:
        """An anonymous ingest for code that runs in a worker thread already."""
        return Partial(self._ingests / secrets.token_hex(16), self._blobs)

    async def open(self, digest: Digest, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See `BlobStore.open`."""
        fd = await workers.quick(self._open, digest)
        try:
            while chunk := await workers.bulk(os.pread, fd, READ_BYTES, offset):
                offset += len(chunk)
                yield chunk
        finally:
            os.close(fd)

    @asynccontextmanager
    async def ingest(self, name: str | None = None) -> AsyncIterator[LocalIngest]:
        """See `BlobStore.ingest`."""
        with self._alone(name):
            ingest = LocalIngest(await workers.bulk(Partial, self._partial_path(name), self._blobs))
            try:
                yield ingest
            finally:
                await shielded(ingest.end(keep=name is not None))

    @asynccontextmanager
    async def resume(self, name: str) -> AsyncIterator[Partial]:
        """The named ingest for code that runs in a worker thread already. Unless that commits or discards it, it stays.

        Raises `Conflict` while the same name is being ingested.
        """
        with self._alone(name):
            partial = await workers.bulk(Partial, self._partial_path(name), self._blobs)
            try:
                yield partial
            finally:
                await shielded(workers.quick(partial.close))

    async def stat(self, digest: Digest) -> BlobInfo:
        """See `BlobStore.stat`."""
        return await workers.quick(self.stat_now, digest)

    async def delete(self, digest: Digest) -> None:
        """See `BlobStore.delete`."""
        await workers.quick(self.path(digest).unlink, missing_ok=True)

    async def walk(self) -> AsyncIterator[BlobInfo]:
        """See `BlobStore.walk`."""
        for info in await workers.bulk(self.walk_now):
            yield info

    async def drop_stale(self) -> None:
        """Remove named partials that nobody works on and nobody came back to for a week, or whose blob came otherwise: a
        partial that is named after a digest is one of that blob."""
        await workers.bulk(self._drop_stale, {self._partial_path(name).name for name in self._names})

    def stat_now(self, digest: Digest) -> BlobInfo:
        """`stat`, for worker threads."""
        try:
            found = self.path(digest).stat()
        except FileNotFoundError:
            raise NotFound(f"content {digest} not found") from None
        return BlobInfo(digest, found.st_size, found.st_mtime_ns)

    def walk_now(self) -> list[BlobInfo]:
        """`walk`, for worker threads."""
        found = []
        for folder in self._blobs.iterdir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    stat = entry.stat(follow_symlinks=False)
                    found.append(BlobInfo(Digest(f"{folder.name}:{entry.name}"), stat.st_size, stat.st_mtime_ns))
        return found

    @contextmanager
    def _alone(self, name: str | None) -> Iterator[None]:
        if name in self._names:
            raise Conflict(f"{name} is being ingested already")
        if name is not None:
            self._names.add(name)
        try:
            yield
        finally:
            self._names.discard(name or "")

    def _prepare(self) -> None:
        (self._blobs / "sha256").mkdir(parents=True, exist_ok=True)
        self._ingests.mkdir(exist_ok=True)
        for path in self._ingests.iterdir():
            if not path.name.startswith("name-") or _is_old(path):
                path.unlink()

    def _drop_stale(self, busy: set[str]) -> None:
        found = {path.name: path for path in self._ingests.iterdir() if path.name.startswith("name-")}
        if not found:
            return
        whole = {self._partial_path(blob.digest).name for blob in self.walk_now()}
        for name, path in found.items():
            if name not in busy and (name in whole or _is_old(path)):
                path.unlink(missing_ok=True)

    def _open(self, digest: Digest) -> int:
        try:
            return os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"content {digest} not found") from None

    def _partial_path(self, name: str | None) -> Path:
        if name is None:
            return self._ingests / secrets.token_hex(16)
        # Hashed: a name may be anything, and a path component may not.
        return self._ingests / f"name-{hashlib.sha256(name.encode()).hexdigest()}"


def _is_old(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - PARTIAL_KEPT_S
    except FileNotFoundError:
        return False  # became a blob meanwhile


class LocalIngest:
    """`Ingest` over a `Partial`: small chunks are gathered so that a worker is asked once per half megabyte."""

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    @property
    def offset(self) -> int:
        """See `Ingest.offset`."""
        return self._partial.offset + self._pending_bytes

    async def write(self, chunk: bytes) -> None:
        """See `Ingest.write`."""
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        if self._pending_bytes >= WRITE_BYTES:
            await workers.bulk(self._flush)

    async def restart(self) -> None:
        """See `Ingest.restart`."""
        self._pending.clear()
        self._pending_bytes = 0
        await workers.quick(self._partial.restart)

    async def commit(self, expected: Digest | None = None, size_bytes: int | None = None) -> BlobInfo:
        """See `Ingest.commit`. A cancelled commit still ends: the blob is there or nothing is."""
        return await workers.bulk(self._commit, expected, size_bytes)

    async def end(self, *, keep: bool) -> None:
        """Stop: with `keep`, what is written stays for the next ingest of that name."""
        await workers.bulk(self._end, keep)

    def _flush(self) -> None:
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        for chunk in pending:
            self._partial.write(chunk)

    def _commit(self, expected: Digest | None, size_bytes: int | None) -> BlobInfo:
        self._flush()
        return self._partial.commit(expected, size_bytes)

    def _end(self, keep: bool) -> None:
        if keep:
            self._flush()
            self._partial.close()
        else:
            self._partial.discard()
