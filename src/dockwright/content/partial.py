"""A file that becomes a blob: written and hashed at once, then fsynced and renamed into place. For worker threads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from dockwright import faults
from dockwright.content.blobstore import BlobInfo
from dockwright.errors import Corrupt, HostFailure
from dockwright.oci import Digest
from dockwright.oci import digest as digests

_CHUNK = 1024 * 1024


class Partial:
    """Content on its way in, on disk at `path`. Blocking; one thread at a time."""

    def __init__(self, path: Path, blobs: Path) -> None:
        """Open `path`, and when it exists go on after what it holds."""
        self._path, self._blobs = path, blobs
        self._hash = digests.hasher()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.offset = 0
        while chunk := os.read(self._fd, _CHUNK):
            self._hash.update(chunk)
            self.offset += len(chunk)

    @property
    def path(self) -> Path:
        """Where the file is until it is committed."""
        return self._path

    def write(self, chunk: bytes | memoryview) -> None:
        """Append and hash `chunk`. Raises `HostFailure` when the disk refuses."""
        view = memoryview(chunk)
        self._hash.update(view)
        self.offset += len(view)
        try:
            while len(view):
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise HostFailure(f"storing content: {error.strerror}") from error

    def stored(self) -> Iterator[bytes]:
        """What was written so far, from the beginning."""
        offset, end = 0, self.offset
        while offset < end:
            chunk = os.pread(self._fd, min(_CHUNK, end - offset), offset)
            if not chunk:
                raise HostFailure(f"{self._path} was cut short by somebody else")
            offset += len(chunk)
            yield chunk

    def restart(self) -> None:
        """Back to an empty file, also after a discard."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = digests.hasher()
        self.offset = 0

    def commit(self, expected: Digest | None = None, size_bytes: int | None = None) -> BlobInfo:
        """Verify and publish; the file is gone from `path` afterwards, unless the disk refuses.

        Raises `Corrupt`; `HostFailure` for the disk.
        """
        try:
            digest = self.verify(expected, size_bytes)
            self._publish(digest)
        except OSError as error:
            raise HostFailure(f"storing content: {error.strerror}") from error
        return BlobInfo(digest, self.offset, time.time_ns())

    def verify(self, expected: Digest | None = None, size_bytes: int | None = None) -> Digest:
        """Hold what was written against what it should be; its digest. Raises `Corrupt`, and the file is then gone."""
        digest = self._digest(expected)
        if expected is not None and digest != expected:
            self.discard()
            raise Corrupt(f"content has the digest {digest}, expected {expected}")
        if size_bytes is not None and size_bytes != self.offset:
            self.discard()
            raise Corrupt(f"content of {digest} has {self.offset} bytes, expected {size_bytes}")
        return digest

    def sync(self) -> None:
        """Bring it to the disk, so that a later commit costs no more than a rename. Raises `HostFailure`."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise HostFailure(f"storing content: {error.strerror}") from error

    def close(self) -> None:
        """Stop writing and leave the file for a later `Partial` on the same path. Safe to call again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """Stop writing and remove the file. Safe to call again, also after a commit."""
        if self._fd >= 0:
            self.close()
            self._path.unlink(missing_ok=True)

    def _publish(self, digest: Digest) -> None:
        folder = self._blobs / digests.algorithm(digest)
        target = folder / digests.encoded(digest)
        if target.exists():
            self.discard()
            return
        faults.point("content.sync")
        os.fchmod(self._fd, 0o644)
        os.fsync(self._fd)
        faults.point("content.rename")
        folder.mkdir(parents=True, exist_ok=True)
        self._path.rename(target)
        sync_directory(folder)
        self.close()

    def _digest(self, expected: Digest | None) -> Digest:
        if expected is None or digests.algorithm(expected) == self._hash.name:
            return digests.finished(self._hash)
        # Another algorithm than sha256 is rare: read once more rather than hash everything twice.
        state = digests.hasher(expected)
        os.lseek(self._fd, 0, os.SEEK_SET)
        while chunk := os.read(self._fd, _CHUNK):
            state.update(chunk)
        return digests.finished(state)


def sync_directory(path: Path) -> None:
    """Make the names in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
