"""Volumes by name: created, used by containers, removed."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dockwright.errors import InUse, Invalid, NotFound
from dockwright.events import Events
from dockwright.store import Database, Schema
from dockwright.volume.seam import VolumeDriver

VOLUME_SCHEMA = Schema("volumes", ["CREATE TABLE volume (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID"])


class Volume(msgspec.Struct, frozen=True):
    """A volume. `created_ns` is nanoseconds since 1970; `anonymous` ones go with their container on `rm --volumes`."""

    name: str
    driver: str
    created_ns: int
    anonymous: bool = False
    labels: dict[str, str] = {}
    options: dict[str, str] = {}


class Volumes:
    """The manager. Who uses a volume is said by `mount` and `unmount`; a volume in use is not removed."""

    def __init__(self, database: Database, events: Events, drivers: Mapping[str, VolumeDriver]) -> None:
        self._database = database
        self._events = events
        self._drivers = drivers
        self._volumes: dict[str, Volume] = {}
        self._users: dict[str, set[str]] = {}

    async def load(self) -> None:
        """Read what is kept."""
        rows = await self._database.read(lambda db: db.execute("SELECT body FROM volume").fetchall())
        decoded = (msgspec.json.decode(row[0], type=Volume) for row in rows)
        self._volumes = {volume.name: volume for volume in decoded}

    def all(self) -> list[Volume]:
        """Every volume, by name."""
        return [self._volumes[name] for name in sorted(self._volumes)]

    def get(self, name: str) -> Volume:
        """Raises `NotFound` with Docker's wording."""
        try:
            return self._volumes[name]
        except KeyError:
            raise NotFound(f"get {name}: no such volume") from None

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """The volume `name`, made when it does not exist; without a name a new anonymous one."""
        anonymous = not name
        name = name or secrets.token_hex(32)
        if existing := self._volumes.get(name):
            return existing
        volume = Volume(name, driver, time.time_ns(), anonymous, dict(labels or {}), dict(options or {}))
        body = msgspec.json.encode(volume)

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO volume VALUES (?, ?)", (name, body))

        keeper = self._driver(driver)
        await keeper.create(name, volume.options)
        await self._database.write(insert)
        self._volumes[name] = volume
        await self._events.publish("volume", "create", name, driver=driver)
        return volume

    async def mount(self, name: str, user: str) -> Path:
        """Make a volume's data visible for `user` (a container id) and return where. Raises `NotFound`."""
        volume = self.get(name)
        self.claim(name, user)
        return await self._driver(volume.driver).mount(name, user)

    async def unmount(self, name: str, user: str) -> None:
        """`user` runs no more; its claim stays until `release`."""
        if volume := self._volumes.get(name):
            await self._driver(volume.driver).unmount(name, user)

    def claim(self, name: str, user: str) -> None:
        """`user` refers to the volume: it is not removed while that lasts."""
        self._users.setdefault(name, set()).add(user)

    def release(self, name: str, user: str) -> None:
        """`user` is gone."""
        users = self._users.get(name)
        if users:
            users.discard(user)

    def users(self, name: str) -> int:
        """How many containers refer to it."""
        return len(self._users.get(name) or ())

    async def mountpoint(self, name: str) -> Path:
        """Where the data is visible. Raises `NotFound`."""
        return await self._driver(self.get(name).driver).mountpoint(name)

    async def remove(self, name: str) -> None:
        """Delete it with its data. Raises `NotFound`, `InUse`."""
        volume = self.get(name)
        if self._users.get(name):
            raise InUse(f"remove {name}: volume is in use - [{', '.join(sorted(self._users[name]))}]")

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM volume WHERE name = ?", (name,))

        await self._database.write(delete)
        self._volumes.pop(name, None)
        await self._driver(volume.driver).remove(name)
        await self._events.publish("volume", "destroy", name, driver=volume.driver)

    def _driver(self, name: str) -> VolumeDriver:
        try:
            return self._drivers[name]
        except KeyError:
            raise Invalid(f"volume driver {name!r} is not known here") from None
