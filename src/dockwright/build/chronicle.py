"""What builds were made: a record of each with what it said, for people who ask later. Rows in SQLite, limited in number
and age.

A record and its log are bytes whose form is the face's that builds came in by. Documents, what a record points at, go with it.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from dockwright import faults, workers
from dockwright.errors import NotFound
from dockwright.oci import Digest
from dockwright.oci import digest as digests
from dockwright.store import Database, Schema

HISTORY_SCHEMA = Schema(
    "build history",
    [
        """CREATE TABLE build_history (
            ref TEXT PRIMARY KEY,
            created_ns INTEGER NOT NULL,
            pinned INTEGER NOT NULL,
            record BLOB NOT NULL,
            log BLOB NOT NULL,
            log_digest TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE build_history_documents (
            ref TEXT NOT NULL REFERENCES build_history (ref) ON DELETE CASCADE,
            digest TEXT NOT NULL,
            content BLOB NOT NULL,
            PRIMARY KEY (ref, digest)
        ) WITHOUT ROWID;
        CREATE INDEX build_history_by_digest ON build_history_documents (digest)""",
    ],
)
# What is not pinned goes after so many newer ones, or so long.
KEPT_RECORDS = 50
KEPT_S = 48 * 3600


@dataclass(frozen=True)
class Record:
    """A build that has ended. `pinned` ones stay until they are removed."""

    ref: str
    created_ns: int
    pinned: bool
    content: bytes


class Chronicle:
    """The records of one engine."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: Record, log: bytes, documents: Sequence[bytes] = ()) -> list[str]:
        """Keep a record, in place of a former one of the same ref; the refs of those that went for it.

        All of it is kept or nothing. Raises what SQLite raises.
        """
        packed, log_digest = await workers.quick(_packed, log)
        rows = {digests.of(one): one for one in documents}
        oldest_ns = time.time_ns() - KEPT_S * 10**9
        faults.point("build.record")

        def save(db: sqlite3.Connection) -> list[str]:
            db.execute("DELETE FROM build_history WHERE ref = ?", (record.ref,))
            values = (record.ref, record.created_ns, record.pinned, record.content, packed, log_digest)
            db.execute("INSERT INTO build_history VALUES (?, ?, ?, ?, ?, ?)", values)
            db.executemany(
                "INSERT INTO build_history_documents VALUES (?, ?, ?)",
                [(record.ref, digest, content) for digest, content in rows.items()],
            )
            told = db.execute(
                "SELECT ref, created_ns FROM build_history WHERE NOT pinned ORDER BY created_ns DESC, ref"
            )
            gone = [ref for number, (ref, at) in enumerate(told) if number >= KEPT_RECORDS or at < oldest_ns]
            db.executemany("DELETE FROM build_history WHERE ref = ?", [(ref,) for ref in gone])
            return gone

        return await self._database.write(save)

    async def all(self) -> list[Record]:
        """Every record, the newest first; none that is too old, and only waits for the next build to go."""
        oldest_ns = time.time_ns() - KEPT_S * 10**9
        query = (
            "SELECT ref, created_ns, pinned, record FROM build_history"
            " WHERE pinned OR created_ns >= ? ORDER BY created_ns DESC, ref"
        )
        rows = await self._database.read(lambda db: db.execute(query, (oldest_ns,)).fetchall())
        return [Record(ref, created_ns, bool(pinned), content) for ref, created_ns, pinned, content in rows]

    async def log(self, ref: str) -> bytes | None:
        """What the build said; None where there is no such record."""
        query = "SELECT log FROM build_history WHERE ref = ?"
        row = await self._database.read(lambda db: db.execute(query, (ref,)).fetchone())
        return None if row is None else await workers.quick(zlib.decompress, row[0])

    async def document(self, digest: str) -> bytes | None:
        """A document of any record, or what one said."""
        query = "SELECT content FROM build_history_documents WHERE digest = ?"
        row = await self._database.read(lambda db: db.execute(query, (digest,)).fetchone())
        if row is not None:
            return bytes(row[0])
        query = "SELECT log FROM build_history WHERE log_digest = ?"
        row = await self._database.read(lambda db: db.execute(query, (digest,)).fetchone())
        return None if row is None else await workers.quick(zlib.decompress, row[0])

    async def pin(self, ref: str, pinned: bool) -> None:
        """Whether the record stays whatever comes. Raises `NotFound`."""
        await self._change("UPDATE build_history SET pinned = ? WHERE ref = ?", (pinned, ref))

    async def remove(self, ref: str) -> None:
        """Forget the build. Raises `NotFound`."""
        await self._change("DELETE FROM build_history WHERE ref = ?", (ref,))

    async def _change(self, query: str, values: tuple[object, ...]) -> None:
        if not await self._database.write(lambda db: db.execute(query, values).rowcount):
            raise NotFound(f"there is no record of the build {values[-1]}")


def _packed(log: bytes) -> tuple[bytes, Digest]:
    return zlib.compress(log), digests.of(log)
