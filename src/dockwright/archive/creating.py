"""Small files of an archive, made beside the thread that reads it: nearly all of their time is the kernel's.

The files of one directory are made by one thread, as the kernel lets no two work on a directory; different directories at once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from dockwright.archive.tarformat import Entry

#: Files up to this size are worth it: a bigger one is mostly copying.
LIMIT_BYTES = 64 * 1024
THREADS = 2
# What is read and not made yet: files of one directory, directories, and names that are looked through for each entry.
_FILES, _BYTES = 256, 2 * 1024 * 1024
_DIRECTORIES = 8
_NAMES = 20_000
# An archive of so few files is done with before threads are there.
_FEW = 64


@dataclass(frozen=True, slots=True)
class Small:
    """A file with its content. `full` is its path inside the root, `name` the last part of that."""

    name: bytes
    entry: Entry
    full: bytes
    content: bytes


@dataclass(slots=True)
class _Batch:
    """Files of one directory; the descriptor is the batch's own."""

    folder: int
    path: bytes
    files: list[Small] = field(default_factory=list)
    size_bytes: int = 0


class Creating:
    """Makes files with `create(folder, small)`, which raises `FileExistsError` for a name that is taken. Close it."""

    def __init__(self, create: Callable[[int, Small], None]) -> None:
        self._create = create
        self._batch: _Batch | None = None
        self._waiting: list[_Batch] = []
        self._going: deque[Future[list[Small]]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._names: set[bytes] = set()
        self._taken: list[Small] = []

    def add(self, folder: int, small: Small) -> None:
        """Make `small` in the open directory `folder`, now or later. Raises what making earlier ones has raised."""
        path = small.full.rpartition(b"/")[0]
        batch = self._batch
        if batch is None or batch.path != path or len(batch.files) == _FILES or batch.size_bytes > _BYTES:
            self._send()
            batch = self._batch = _Batch(os.dup(folder), path)
        batch.files.append(small)
        batch.size_bytes += len(small.content)
        self._names.add(small.full)

    def concerns(self, path: bytes) -> bool:
        """Whether what becomes of `path` depends on files that may not be there yet."""
        if not self._names:
            return False
        if len(self._names) > _NAMES:
            return True
        while path:
            if path in self._names:
                return True
            path = path.rpartition(b"/")[0]
        return False

    def settle(self) -> list[Small]:
        """Wait until all are made; those whose names were taken are given back. Raises what making one has raised."""
        self._send()
        while self._waiting:
            self._taken += self._make(self._waiting.pop(0))
        while self._going:
            self._taken += self._going.popleft().result()
        self._names.clear()
        taken, self._taken = self._taken, []
        return taken

    def close(self) -> None:
        """Wait for what is being made, and forget the rest. Safe to call twice."""
        if self._pool is not None:
            self._pool.shutdown()
        left = [*self._waiting, *([self._batch] if self._batch is not None else [])]
        self._waiting, self._batch = [], None
        for batch in left:
            os.close(batch.folder)

    def _send(self) -> None:
        """The present batch is complete."""
        if self._batch is not None:
            self._waiting.append(self._batch)
            self._batch = None
        if self._pool is None and len(self._names) > _FEW:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="unpack")
        if self._pool is not None:
            self._going += [self._pool.submit(self._make, batch) for batch in self._waiting]
            self._waiting = []
            while len(self._going) > _DIRECTORIES:
                self._taken += self._going.popleft().result()

    def _make(self, batch: _Batch) -> list[Small]:
        taken = []
        try:
            for one in batch.files:
                try:
                    self._create(batch.folder, one)
                except FileExistsError:
                    taken.append(one)
        finally:
            os.close(batch.folder)
        return taken
