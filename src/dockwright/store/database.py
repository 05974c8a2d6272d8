"""The database: a writer thread that commits in groups, and a small pool of readers.

WAL with `synchronous=NORMAL`: a commit survives a kill -9 of the daemon at any instruction; a power cut may lose the last
commits but never tears one (SQLite documentation, "Write-Ahead Logging" and PRAGMA synchronous).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dockwright import workers
from dockwright.errors import Corrupt, Unavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Schema:
    """The tables of one manager: `versions[n]` is the script that brings version n to n + 1. Append, never edit."""

    name: str
    versions: Sequence[str]


class _Job:
    __slots__ = ("future", "loop", "work")

    def __init__(
        self,
        work: Callable[[sqlite3.Connection], Any],
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
    ) -> None:
        self.work, self.loop, self.future = work, loop, future


class Database:
    """One SQLite file. Open with `Database.open`, end with `aclose`; safe to use from one event loop."""

    def __init__(self, path: Path, schemas: Sequence[Schema]) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer = _connect(path)
        try:
            _migrate(self._writer, schemas)
        except sqlite3.DatabaseError as error:
            self._writer.close()
            raise Corrupt(f"{path}: {error}") from error
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        self._thread = threading.Thread(target=self._write_loop, name="database writer", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path, schemas: Sequence[Schema]) -> Database:
        """Open or create `path` and bring every schema to its newest version.

        Raises `Corrupt` when the file is no database, or was written by a newer release.
        """
        return await workers.quick(cls, path, schemas)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)` in the writer thread as one atomic change, and return its result once committed.

        Changes of concurrent callers share a commit; an exception in `work` rolls back that caller's change alone and is
        raised here. A cancelled caller does not stop a change that was handed over: it is still committed.
        """
        if self._closed:
            raise Unavailable(f"{self._path.name} is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, future))
        return await future

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)` on a read-only connection in a worker thread: it sees a consistent snapshot."""
        if self._closed:
            raise Unavailable(f"{self._path.name} is closed")
        return await workers.quick(self._read, work)

    async def aclose(self) -> None:
        """Commit what was handed over and close. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await workers.quick(self._thread.join)
        for reader in self._readers:
            reader.close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _connect(self._path)
            connection.execute("PRAGMA query_only=ON")
            self._readers.append(connection)
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("ROLLBACK")

    def _write_loop(self) -> None:
        while True:
            batch: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                batch.append(job)
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(batch)
            if job is None:
                self._writer.close()
                return

    def _commit(self, batch: list[_Job]) -> None:
        done: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._writer.execute("SAVEPOINT job")
                try:
                    result = job.work(self._writer)
                except Exception as error:  # noqa: BLE001 - handed to the caller whose change it was
                    self._writer.execute("ROLLBACK TO job")
                    done.append((job, None, error))
                else:
                    done.append((job, result, None))
                self._writer.execute("RELEASE job")
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:  # disk full, I/O error: nothing of this batch was kept
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            done = [(job, None, error) for job in batch]
        for job, result, failure in done:
            try:
                job.loop.call_soon_threadsafe(_resolve, job.future, result, failure)
            except RuntimeError:
                pass  # the loop is gone: nobody waits


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Corrupt(f"{path}: {error}") from error
    return connection


def _migrate(connection: sqlite3.Connection, schemas: Sequence[Schema]) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS schema (name TEXT PRIMARY KEY, version INTEGER NOT NULL)")
    for schema in schemas:
        row = connection.execute("SELECT version FROM schema WHERE name = ?", (schema.name,)).fetchone()
        version = row[0] if row else 0
        if version > len(schema.versions):
            raise Corrupt(
                f"the state was written by a newer release ({schema.name} version {version}, "
                f"this release knows {len(schema.versions)})"
            )
        for number, script in enumerate(schema.versions[version:], version + 1):
            # `executescript` commits what is open, so the script carries its own transaction.
            connection.executescript(
                f"BEGIN; {script}; INSERT OR REPLACE INTO schema VALUES ('{schema.name}', {number}); COMMIT;"
            )
