"""What builds remember beside their results: what files of a tree are, and what each step read when it was last built.

Both can be found out again, or done without. The oldest rows go when there are too many.
"""

from __future__ import annotations

import sqlite3
import time

import msgspec
import zstandard

from dockwright import workers
from dockwright.build.solving.inputs import Inputs
from dockwright.oci import Digest
from dockwright.oci import digest as digests
from dockwright.store import Database

TABLES = """
CREATE TABLE build_known (key TEXT PRIMARY KEY, value BLOB NOT NULL, used_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE build_inputs (step TEXT PRIMARY KEY, key TEXT NOT NULL, value BLOB NOT NULL, used_ns INTEGER NOT NULL);
"""
KNOWN_LIMIT = 20_000
INPUTS_LIMIT = 2_000
# A step that reads 20,000 files takes a third of a megabyte.
LIMIT_BYTES = 128 * 1024 * 1024
# How many rows come before the oldest are looked for.
_TIDY_EVERY = 256


class Known(msgspec.Struct, frozen=True):
    """What a COPY's files are: their digest, and what else its key asks for."""

    digest: Digest
    single: bool
    archives: int
    keeps_owners: bool


class Memory:
    """Rows of SQLite; those of `Known` in memory too, once they were asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Both hold no more than was asked for or written since the rows were last tidied.
        self._known: dict[str, Known] = {}
        self._keys: dict[str, str] = {}
        self._written = 0

    def key(self, identity: str, asked: tuple[object, ...]) -> str:
        """The name of what is known of some files of the tree `identity`."""
        return digests.of(msgspec.json.encode([identity, *asked]))

    async def recall(self, key: str) -> Known | None:
        """What was remembered."""
        if (known := self._known.get(key)) is not None:
            return known
        row = await self._database.read(
            lambda db: db.execute("SELECT value FROM build_known WHERE key = ?", (key,)).fetchone()
        )
        if row is None:
            return None
        self._known[key] = found = msgspec.json.decode(row[0], type=Known)
        return found

    async def remember(self, key: str, known: Known) -> None:
        """Keep what was found."""
        self._known[key] = known
        value = (key, msgspec.json.encode(known), time.time_ns())
        await self._write("INSERT OR REPLACE INTO build_known VALUES (?, ?, ?)", value)

    async def last_inputs(self, step: str) -> Inputs | None:
        """What the step read when it was last built."""

        def work(db: sqlite3.Connection) -> Inputs | None:
            row = db.execute("SELECT value FROM build_inputs WHERE step = ?", (step,)).fetchone()
            # Here, in the reader's thread: of a step that reads very many files it takes a while.
            return None if row is None else msgspec.json.decode(zstandard.decompress(row[0]), type=Inputs)

        return await self._database.read(work)

    async def keep_inputs(self, step: str, inputs: Inputs) -> None:
        """Remember what the step has read now. Nothing is written when that is what it read the last time."""
        key = inputs.key
        if self._keys.get(step) == key:
            return
        self._keys[step] = key
        packed = await workers.quick(lambda: zstandard.compress(msgspec.json.encode(inputs), 1))
        value = (step, key, packed, time.time_ns())
        await self._write("INSERT OR REPLACE INTO build_inputs VALUES (?, ?, ?, ?)", value)

    async def _write(self, statement: str, value: tuple[object, ...]) -> None:
        self._written += 1
        tidy = self._written % _TIDY_EVERY == 0

        def work(db: sqlite3.Connection) -> None:
            db.execute(statement, value)
            if tidy:
                _tidy(db, "build_known", "key", KNOWN_LIMIT)
                _tidy(db, "build_inputs", "step", INPUTS_LIMIT)

        await self._database.write(work)
        if tidy:  # what went is written again when it is found again
            self._known.clear()
            self._keys.clear()


def _tidy(db: sqlite3.Connection, table: str, key: str, limit: int) -> None:
    rows = f"SELECT {key}, ROW_NUMBER() OVER w AS place, SUM(LENGTH(value)) OVER w AS bytes FROM {table}"
    rows += " WINDOW w AS (ORDER BY used_ns DESC)"
    old = f"SELECT {key} FROM ({rows}) WHERE place > {limit} OR (place > 1 AND bytes > {LIMIT_BYTES})"
    db.execute(f"DELETE FROM {table} WHERE {key} IN ({old})")
