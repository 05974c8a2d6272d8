"""The build cache: which step made which layer, out of which inputs. Rows in SQLite; the layers are the image store's.

A row is found by its key, the digest of what the step is and of everything it reads. Rows hold their layers: what a row needs
is not collected before the row is pruned.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

import msgspec

from dockwright.build.cache.memory import TABLES, Memory
from dockwright.oci import Descriptor, Digest, chain_ids
from dockwright.store import Database, Schema

BUILD_SCHEMA = Schema(
    "build",
    [
        """CREATE TABLE build_cache (
            key TEXT PRIMARY KEY,
            layers BLOB NOT NULL,
            title TEXT NOT NULL,
            kind TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            created_ns INTEGER NOT NULL,
            used_ns INTEGER NOT NULL,
            uses INTEGER NOT NULL
        ) WITHOUT ROWID""",
        TABLES,
    ],
)


class Tree(msgspec.Struct, frozen=True):
    """What an operation yields: layers, base first; `diff_ids` name them unpacked."""

    diff_ids: tuple[Digest, ...] = ()
    layers: tuple[Descriptor, ...] = ()

    @property
    def chain(self) -> Digest | None:
        """The snapshot that shows it; None for the empty tree."""
        return chain_ids(self.diff_ids)[-1] if self.diff_ids else None


class Record(msgspec.Struct, frozen=True):
    """One row. `kind` as Docker's build cache has it: regular, source.local, exec.cachemount."""

    key: str
    tree: Tree
    title: str
    kind: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int


class Cache:
    """All rows, kept in memory too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.memory = Memory(database)
        self._rows: dict[str, Record] = {}
        # Uses that are not stored yet: a build's are, together, at its end.
        self._used: set[str] = set()

    async def load(self) -> None:
        """Read what is stored."""
        for row in await self._database.read(lambda db: db.execute("SELECT * FROM build_cache").fetchall()):
            tree = msgspec.json.decode(row[1], type=Tree)
            self._rows[row[0]] = Record(row[0], tree, *row[2:])

    def all(self) -> list[Record]:
        """Every row, the least recently used first."""
        return sorted(self._rows.values(), key=lambda row: row.used_ns)

    def chains(self) -> Iterable[Digest]:
        """The snapshots that rows need."""
        for row in self._rows.values():
            yield from chain_ids(row.tree.diff_ids)

    def find(self, key: str) -> Record | None:
        """The row of `key`, which counts as a use of it; `keep_uses` stores that."""
        row = self._rows.get(key)
        if row is None:
            return None
        self._rows[key] = used = msgspec.structs.replace(row, used_ns=time.time_ns(), uses=row.uses + 1)
        self._used.add(key)
        return used

    def row(self, key: str) -> Record | None:
        """The row of `key`; to look at it is no use of it."""
        return self._rows.get(key)

    async def keep_uses(self) -> None:
        """Store what was found since the last time."""
        used, self._used = self._used, set()
        rows = [(row.used_ns, row.uses, row.key) for key in used if (row := self._rows.get(key)) is not None]
        if rows:
            await self._database.write(
                lambda db: db.executemany("UPDATE build_cache SET used_ns = ?, uses = ? WHERE key = ?", rows)
            )

    async def add(self, key: str, tree: Tree, title: str, size_bytes: int) -> None:
        """A new row."""
        now = time.time_ns()
        row = Record(key, tree, title, "regular", size_bytes, now, now, 0)
        values = (row.key, msgspec.json.encode(row.tree), row.title, row.kind)
        numbers = (row.size_bytes, row.created_ns, row.used_ns, row.uses)

        def save(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO build_cache VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, *numbers))

        await self._database.write(save)
        self._rows[row.key] = row

    async def remove(self, keys: Iterable[str]) -> None:
        """Forget rows. Unknown keys are fine."""
        gone = list(keys)
        await self._database.write(
            lambda db: db.executemany("DELETE FROM build_cache WHERE key = ?", [(key,) for key in gone])
        )
        for key in gone:
            self._rows.pop(key, None)
