"""Where blobs are to be had: which repositories were seen to hold one. A push mounts from there instead of sending, and a
blob that is not kept here any more is fetched from there."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from dockwright.oci import Digest, Reference, reference
from dockwright.store import Database

# A blob is on many registries at most in theory; the newest are asked first, and old ones forgotten.
_KEPT = 8


class Sources:
    """Rows of `blob_source`. Reads and writes are queries: only transfers ask."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, repository: Reference, digests: Iterable[Digest]) -> None:
        """`repository` has these blobs, as of now."""
        now = time.time_ns()
        rows = [(digest, repository.name, now) for digest in dict.fromkeys(digests)]

        def save(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO blob_source VALUES (?, ?, ?)", rows)
            db.executemany(
                "DELETE FROM blob_source WHERE digest = ? AND repository NOT IN"
                " (SELECT repository FROM blob_source WHERE digest = ? ORDER BY seen_ns DESC LIMIT ?)",
                [(digest, digest, _KEPT) for digest, _, _ in rows],
            )

        if rows:
            await self._database.write(save)

    async def of(self, digest: Digest) -> list[Reference]:
        """The repositories seen to hold it, the newest first."""
        found = await self._database.read(
            lambda db: db.execute(
                "SELECT repository FROM blob_source WHERE digest = ? ORDER BY seen_ns DESC", (digest,)
            ).fetchall()
        )
        return [reference.parse(name) for (name,) in found]

    async def forget(self, repository: Reference, digest: Digest) -> None:
        """`repository` turned out not to have it."""
        await self._database.write(
            lambda db: db.execute(
                "DELETE FROM blob_source WHERE digest = ? AND repository = ?", (digest, repository.name)
            )
        )

    async def keep(self, digests: Iterable[Digest]) -> None:
        """Forget every blob that is none of these: no image leads to it."""
        wanted = {str(digest) for digest in digests}

        def save(db: sqlite3.Connection) -> None:
            gone = [row for row in db.execute("SELECT DISTINCT digest FROM blob_source") if row[0] not in wanted]
            db.executemany("DELETE FROM blob_source WHERE digest = ?", gone)

        await self._database.write(save)
