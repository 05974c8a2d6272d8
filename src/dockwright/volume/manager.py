"""Volumes by name: created, used by containers, removed."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from msgspec.structs import replace

from dockwright import faults, workers
from dockwright.errors import Conflict, DockwrightError, InUse, Invalid, NotFound, Unsupported
from dockwright.events import Events
from dockwright.store import Database
from dockwright.undo import UndoStack, shielded
from dockwright.volume import copying
from dockwright.volume.index import Index
from dockwright.volume.locks import NamedLocks
from dockwright.volume.plugins import Plugins
from dockwright.volume.seam import Adopting, Renaming, VolumeDriver
from dockwright.volume.usage import Usage
from dockwright.volume.volume import ANONYMOUS, Volume, VolumeTable, check_name

log = logging.getLogger(__name__)


class Volumes(Index):
    """The manager. Containers claim what they refer to; what is claimed is never removed."""

    def __init__(
        self,
        database: Database,
        events: Events,
        drivers: Mapping[str, VolumeDriver],
        plugins: Plugins | None = None,
    ) -> None:
        super().__init__(drivers, plugins or Plugins(()))
        self.table = VolumeTable(database)
        self.tags_of: Callable[[str], list[str]] = lambda name: []
        """The tags of a volume's snapshots: one that has some is not removed."""
        self._events = events
        self._usage = Usage()
        self._locks = NamedLocks()

    # -- create ----------------------------------------------------------------------------------------------------

    async def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """The volume `name`, made when it does not exist; without a name a new anonymous one.

        Raises `NotFound` (driver), `Invalid` (name, options), `Conflict` when it exists with another driver. A failed or
        cancelled call leaves nothing.
        """
        volume, _ = await self.acquire(name, driver=driver, labels=labels, options=options)
        return volume

    async def acquire(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        user: str = "",
    ) -> tuple[Volume, bool]:
        """`create`, and whether it was made now; claimed for `user`, where one is named, in the same step.

        An anonymous one belongs to `user`: it goes with it.
        """
        anonymous = not name
        name = check_name(name) if name else secrets.token_hex(32)
        async with self._locks.holding(name):
            volume = None if anonymous else await self._existing(name, driver)
            made = volume is None
            if volume is None:
                marks = {ANONYMOUS: ""} if anonymous else {}
                volume = await self._make(
                    Volume(
                        name,
                        driver or "local",
                        time.time_ns(),
                        anonymous,
                        {**(labels or {}), **marks},
                        dict(options or {}),
                        belongs_to=user if anonymous else "",
                    )
                )
            if user:
                self.claim(name, user)
        if made:
            await self._events.publish("volume", "create", name, driver=volume.driver)
        return volume, made

    async def begin(self, volume: Volume) -> None:
        """Make `volume` without anybody seeing it; `complete` or `abandon` ends that. Raises as `create` does."""
        if volume.name in self._volumes:
            raise Conflict(f"a volume named {volume.name} exists")
        driver = await self._driver(volume.driver)
        # One that belongs to a container that is not there yet is collected for that reason alone.
        await self.table.save(volume if volume.belongs_to else replace(volume, state="making"))
        faults.point("volume.create")
        try:
            await driver.create(volume.name, volume.options)
        except Invalid as error:
            raise Invalid(f"create {volume.name}: {error}") from error

    async def complete(self, volume: Volume) -> None:
        """It is there, for everybody to see."""
        faults.point("volume.persist")
        await self.table.save(volume)
        self._volumes[volume.name] = volume

    async def abandon(self, volume: Volume) -> None:
        """The undo of `begin`: fine whatever has been done of it, and nothing after `complete`."""
        if volume.name not in self._volumes:
            await (await self._driver(volume.driver)).remove(volume.name)
            await self.table.delete(volume.name)

    async def _make(self, volume: Volume) -> Volume:
        await self._driver(volume.driver)  # an unknown one is told before anything is written
        async with UndoStack() as undo:
            undo.push_undo(self.abandon, volume)
            await self.begin(volume)
            if volume.belongs_to:
                self._volumes[volume.name] = volume  # its row says so already
            else:
                await self.complete(volume)
            undo.release()
        return volume

    async def _existing(self, name: str, driver: str) -> Volume | None:
        volume = self._volumes.get(name)
        if volume is None and driver != "local":
            volume = await self._adopt_foreign(name, driver)
        if volume is not None and driver and driver.removesuffix(":latest") != volume.driver.removesuffix(":latest"):
            raise Conflict(
                f"create {name}: driver '{volume.driver}' already has volume '{name}': volume name must be unique"
            )
        return volume

    async def _adopt_foreign(self, name: str, driver: str) -> Volume | None:
        """A volume that a plugin has made by itself, taken in: from now on it is kept here too."""
        try:
            if driver:
                seen = await (await self._driver(driver)).inspect(name)
                volume = Volume(name, driver, seen.created_ns)
            else:
                volume = await self.find(name)
        except NotFound as error:
            if driver and "plugin" in str(error) and "not found" in str(error):
                raise NotFound(f"create {name}: {error}") from None
            return None
        await self.table.save(volume)
        self._volumes[name] = volume
        return volume

    # -- use -------------------------------------------------------------------------------------------------------

    async def mount(self, name: str, user: str) -> Path:
        """Make a volume's data visible for `user` and return where. Raises `NotFound`, `Invalid`, `Unavailable`."""
        async with self._locks.holding(name):
            return await self.mount_held(self.get(name), user)

    async def mount_held(self, volume: Volume, user: str) -> Path:
        """`mount`, by who holds the volume's lock."""
        driver = await self._driver(volume.driver)
        self._usage.mounting(volume.name, user)
        path = await driver.mount(volume.name, user)
        if volume.exchange:
            await workers.bulk(copying.finish, path, volume.exchange)
            await self.complete(replace(volume, exchange=""))
        return path

    async def unmount(self, name: str, user: str) -> None:
        """`user` runs no more; its claim stays until `release`. Fine when it was not mounted."""
        async with self._locks.holding(name):
            await self.unmount_held(name, user)

    async def unmount_held(self, name: str, user: str) -> None:
        """`unmount`, by who holds the volume's lock."""
        if volume := self._volumes.get(name):
            await self.unmount_fresh(volume, user)
        else:
            await self._usage.unmounted(name, user)

    async def unmount_fresh(self, volume: Volume, user: str) -> None:
        """The same for a volume that nobody sees yet."""
        try:
            await (await self._driver(volume.driver)).unmount(volume.name, user)
        finally:
            await self._usage.unmounted(volume.name, user)

    async def adopt(self, name: str, user: str) -> None:
        """`user` went on while no daemon ran: what is mounted stays mounted for it."""
        volume = self._volumes.get(name)
        if volume is not None and volume.driver in self._drivers:
            self._usage.mounting(name, user)
            driver = self._drivers[volume.driver]
            if isinstance(driver, Adopting):
                await driver.adopt(name, user)

    def locked(self, *names: str) -> AbstractAsyncContextManager[None]:
        """While the context lasts the volumes are not mounted, unmounted, made or removed by others."""
        return self._locks.holding(*names)

    def claim(self, name: str, user: str) -> None:
        """`user` refers to the volume: it is not removed while that lasts."""
        self._usage.claim(name, user)

    def release(self, name: str, user: str) -> None:
        """`user` refers to it no more."""
        self._usage.release(name, user)

    def users(self, name: str) -> int:
        """How many containers refer to it."""
        return len(self._usage.claims(name))

    # -- remove ----------------------------------------------------------------------------------------------------

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Delete it with its data. Raises `NotFound` (not with `force`), `InUse`, `Conflict` when it has snapshots."""
        await self._usage.settled(name)
        async with self._locks.holding(name):
            try:
                volume = await self.find(name)
            except NotFound:
                if force:
                    return
                raise
            if users := self._usage.claims(name) | self._usage.mounts(name):
                raise InUse(f"remove {name}: volume is in use - [{', '.join(sorted(users))}]")
            if tags := self.tags_of(name):
                raise Conflict(f"remove {name}: volume has snapshots - [{', '.join(tags)}]: remove them first")
            await shielded(self._remove(volume, force=force), limit_s=None)

    async def _remove(self, volume: Volume, *, force: bool = False) -> None:
        """Certain first, then done, then told. A plugin that has gone keeps its volume unless `force`."""
        if volume.name in self._volumes:
            await self.table.save(replace(volume, state="going"))
        self._volumes.pop(volume.name, None)
        try:
            faults.point("volume.going")
            await (await self._driver(volume.driver)).remove(volume.name)
        except DockwrightError:
            if not force or volume.driver in self._drivers:
                await self.complete(volume)
                raise
        faults.point("volume.removed")
        await self.table.delete(volume.name)
        await self._events.publish("volume", "destroy", volume.name, driver=volume.driver)

    async def prune(self, chosen: Iterable[Volume]) -> tuple[list[str], int]:
        """Remove those of `chosen` that nobody refers to; their names and the bytes that came free. Tells `prune`."""
        removed, freed = [], 0
        for volume in chosen:
            if self.users(volume.name):
                continue
            size = await self.size_bytes(volume)
            try:
                await self.remove(volume.name)
            except (Conflict, NotFound):
                continue  # somebody uses or has removed it meanwhile
            removed.append(volume.name)
            freed += max(size, 0)
        await self._events.publish("volume", "prune", "", reclaimed=str(freed))
        return removed, freed

    async def keep(self, names: Collection[str]) -> None:
        """Anonymous volumes that outlive the container they belong to: said before its row goes."""
        for name in names:
            volume = self._volumes.get(name)
            if volume is not None and volume.belongs_to:
                await self.complete(replace(volume, belongs_to=""))

    def forsake(self, user: str, names: Collection[str], anonymous: Collection[str]) -> list[Volume]:
        """`user` is gone for good: its claims go, and those of `anonymous` that nobody else claims exist no more.

        Returns these; `discard` removes what is left of them.
        """
        for name in names:
            self.release(name, user)
        free = (name for name in set(anonymous) if not self.users(name) and not self.tags_of(name))
        doomed = [name for name in free if name in self._volumes]
        return [self._volumes.pop(name) for name in doomed]

    async def discard(self, doomed: Iterable[Volume]) -> None:
        """Remove what `forsake` returned, once it is unmounted."""
        for volume in doomed:
            await self._usage.settled(volume.name)
            async with self._locks.holding(volume.name):
                await (await self._driver(volume.driver)).remove(volume.name)
                await self.table.delete(volume.name)
            await self._events.publish("volume", "destroy", volume.name, driver=volume.driver)

    # -- rename ----------------------------------------------------------------------------------------------------

    async def rename(self, name: str, new_name: str) -> Volume:
        """Give it another name. The caller then changes who refers to it, and says `renamed`.

        Raises `NotFound`, `Conflict` for a taken name, `Unsupported` where the driver cannot.
        """
        check_name(new_name)
        async with self._locks.holding(name, new_name):
            volume = self.get(name)
            if new_name in self._volumes or name == new_name:
                raise Conflict(f"rename {name}: a volume named {new_name} exists")
            driver = await self._driver(volume.driver)
            if not isinstance(driver, Renaming):
                raise Unsupported(f"rename {name}: the volume driver {volume.driver} cannot rename volumes")
            changed = replace(volume, name=new_name, former_name=name)
            return await shielded(self._rename(volume, changed, driver))

    async def _rename(self, volume: Volume, changed: Volume, driver: Renaming) -> Volume:
        await self.table.save(changed, instead_of=volume.name)
        faults.point("volume.rename")
        del self._volumes[volume.name]
        self._volumes[changed.name] = changed
        self._usage.renamed(volume.name, changed.name)
        await driver.rename(volume.name, changed.name)
        return changed

    def renames(self) -> dict[str, str]:
        """New names by old ones, of renames that are being made."""
        return {volume.former_name: volume.name for volume in self._volumes.values() if volume.former_name}

    async def renamed(self, new_name: str) -> None:
        """Everybody who refers to it knows the new name."""
        await self.complete(replace(self.get(new_name), former_name=""))

    # -- the daemon's life -----------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read what is kept, and end the renames that were begun."""
        self._volumes = {volume.name: volume for volume in await self.table.load() if volume.state == "ready"}
        for volume in self.all():
            if volume.former_name:
                driver = await self._driver(volume.driver)
                if isinstance(driver, Renaming):
                    await driver.rename(volume.former_name, volume.name)

    async def collect(self, containers: Collection[str]) -> None:
        """At the daemon's start, when every claim has been made: end what was begun, remove what belongs to nobody left."""
        for volume in await self.table.load():
            try:
                await self._collect(volume, containers)
            except DockwrightError as error:
                log.warning("volume %s is left as it was: %s", volume.name, error)

    async def _collect(self, volume: Volume, containers: Collection[str]) -> None:
        orphan = volume.belongs_to and volume.belongs_to not in containers
        if volume.state != "ready" or (orphan and not self.users(volume.name)):
            self._volumes.pop(volume.name, None)
            await (await self._driver(volume.driver)).remove(volume.name)
            await self.table.delete(volume.name)
            return
        if orphan:
            await self.complete(replace(volume, belongs_to=""))
        if volume.exchange:
            await self.mount(volume.name, "restore")
            await self.unmount(volume.name, "restore")

    async def aclose(self) -> None:
        """End the connections to plugins."""
        await self.plugins.aclose()
