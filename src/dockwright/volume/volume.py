"""A volume as it is kept, and its table."""

from __future__ import annotations

import re
import sqlite3
from typing import Literal

import msgspec

from dockwright.errors import Invalid
from dockwright.store import Database, Schema

VOLUME_SCHEMA = Schema(
    "volumes",
    [
        "CREATE TABLE volume (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE volume_snapshot (volume TEXT NOT NULL, tag TEXT NOT NULL, body BLOB NOT NULL,"
        " PRIMARY KEY (volume, tag)) WITHOUT ROWID",
    ],
)
ANONYMOUS = "com.docker.volume.anonymous"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_NAME_LIMIT = 240  # of a directory's name, less what stands around it while the volume is removed


class Volume(msgspec.Struct, frozen=True):
    """A volume. `created_ns` is nanoseconds since 1970; `anonymous` ones go with their container on `rm --volumes`.

    `state` is making until the driver has made and filled it, going from the moment its removal is certain: in both it
    exists for nobody, and a start of the daemon ends what was begun. `belongs_to` is the container that an anonymous volume
    was made for: it ends with that container's row. `exchange` is the token of an exchange of its content that is being made,
    `former_name` says that a rename is.
    """

    name: str
    driver: str
    created_ns: int
    anonymous: bool = False
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    state: Literal["making", "ready", "going"] = "ready"
    belongs_to: str = ""
    exchange: str = ""
    former_name: str = ""


def check_name(name: str) -> str:
    """`name`, where it may be one. Raises `Invalid` with Docker's wording."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(name) > _NAME_LIMIT:
        raise Invalid(f"create {name[:32]}…: a volume's name has at most {_NAME_LIMIT} characters")
    return name


class VolumeTable:
    """The `volume` table. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[Volume]:
        """Every volume, by name."""
        rows = await self._database.read(lambda db: db.execute("SELECT body FROM volume ORDER BY name").fetchall())
        return [msgspec.json.decode(row[0], type=Volume) for row in rows]

    async def save(self, volume: Volume, *, instead_of: str = "") -> None:
        """Write it, in place of the volume `instead_of` where one is named."""
        body = msgspec.json.encode(volume)

        def work(db: sqlite3.Connection) -> None:
            if instead_of:
                db.execute("DELETE FROM volume WHERE name = ?", (instead_of,))
                db.execute("UPDATE volume_snapshot SET volume = ? WHERE volume = ?", (volume.name, instead_of))
            db.execute("INSERT OR REPLACE INTO volume VALUES (?, ?)", (volume.name, body))

        await self._database.write(work)

    async def delete(self, name: str) -> None:
        """Forget it and its snapshots."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM volume WHERE name = ?", (name,))
            db.execute("DELETE FROM volume_snapshot WHERE volume = ?", (name,))

        await self._database.write(work)
