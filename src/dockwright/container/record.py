"""What is kept of a container across restarts of the daemon, and its table.

The specification changes seldom and the state often: two columns, written apart.
"""

from __future__ import annotations

import sqlite3

import msgspec

from dockwright.container.config import Config, EndpointSettings, HostConfig
from dockwright.container.mounts import MountPoint
from dockwright.container.state import Status
from dockwright.errors import Conflict
from dockwright.store import Database, Schema

CONTAINER_SCHEMA = Schema(
    "containers",
    [
        "CREATE TABLE container (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec BLOB NOT NULL, state BLOB NOT NULL)"
        " WITHOUT ROWID"
    ],
)


class Specification(msgspec.Struct):
    """What was asked for. `image_id` is the image's target digest; times are nanoseconds since 1970."""

    created_ns: int
    image_id: str
    config: Config
    host: HostConfig
    endpoints: dict[str, EndpointSettings]
    points: list[MountPoint]
    platform: str = "linux"


class HealthProbe(msgspec.Struct):
    """One probe's result; times in nanoseconds since 1970."""

    start_ns: int
    end_ns: int
    exit_code: int
    output: str


class Health(msgspec.Struct):
    """`status` is starting, healthy or unhealthy; `log` holds the last five probes."""

    status: str = "starting"
    failing_streak: int = 0
    log: list[HealthProbe] = msgspec.field(default_factory=list)


class State(msgspec.Struct):
    """What became of it. `finished_ns` 0: never; `stopped_by_hand` keeps restart policies away."""

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_ns: int = 0
    finished_ns: int = 0
    restart_count: int = 0
    stopped_by_hand: bool = False
    health: Health | None = None


class Record(msgspec.Struct):
    """One container."""

    id: str
    name: str
    spec: Specification
    state: State


class ContainerTable:
    """The `container` table. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[Record]:
        """Every container."""
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT id, name, spec, state FROM container").fetchall()
        )
        return [
            Record(
                row[0], row[1], msgspec.json.decode(row[2], type=Specification), msgspec.json.decode(row[3], type=State)
            )
            for row in rows
        ]

    async def insert(self, record: Record) -> None:
        """Add a container. Raises `Conflict` when its name is taken."""
        values = (record.id, record.name, msgspec.json.encode(record.spec), msgspec.json.encode(record.state))

        def work(connection: sqlite3.Connection) -> None:
            try:
                connection.execute("INSERT INTO container VALUES (?, ?, ?, ?)", values)
            except sqlite3.IntegrityError as error:
                raise Conflict(f'the container name "/{record.name}" is already in use') from error

        await self._database.write(work)

    async def save_state(self, record: Record) -> None:
        """Write the state as it is at this moment."""
        values = (msgspec.json.encode(record.state), record.id)
        await self._database.write(
            lambda db: db.execute("UPDATE container SET state = ? WHERE id = ?", values) and None
        )

    async def save_spec(self, record: Record) -> None:
        """Write name and specification as they are at this moment."""
        values = (record.name, msgspec.json.encode(record.spec), record.id)
        await self._database.write(
            lambda db: db.execute("UPDATE container SET name = ?, spec = ? WHERE id = ?", values) and None
        )

    async def delete(self, container_id: str) -> None:
        """Forget the container."""
        await self._database.write(
            lambda db: db.execute("DELETE FROM container WHERE id = ?", (container_id,)) and None
        )
