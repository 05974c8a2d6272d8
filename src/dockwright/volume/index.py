"""Which volumes there are, and what their drivers tell of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from dockwright import workers
from dockwright.errors import DockwrightError, NotFound
from dockwright.volume import copying
from dockwright.volume.plugins import Plugins
from dockwright.volume.seam import Discovering, Seen, VolumeDriver
from dockwright.volume.volume import Volume

log = logging.getLogger(__name__)


class Index:
    """The volumes of an engine by name, and those that plugins have made by themselves."""

    def __init__(self, drivers: Mapping[str, VolumeDriver], plugins: Plugins) -> None:
        self.plugins = plugins
        self._drivers = drivers
        self._volumes: dict[str, Volume] = {}

    def all(self) -> list[Volume]:
        """Every volume that was made or used here, by name."""
        return [self._volumes[name] for name in sorted(self._volumes)]

    def get(self, name: str) -> Volume:
        """One of `all`. Raises `NotFound` with Docker's wording."""
        try:
            return self._volumes[name]
        except KeyError:
            raise NotFound(f"get {name}: no such volume") from None

    def exists(self, name: str) -> bool:
        """Whether it is one of `all`."""
        return name in self._volumes

    async def listing(self) -> tuple[list[Volume], list[str]]:
        """Every volume, those that a plugin has made by itself too, and a warning for each plugin out of reach."""
        found = {volume.name: volume for volume in self.all()}
        warnings = []
        names = await self.plugins.names()
        answers = await asyncio.gather(*(self._all_of(name) for name in names))
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, str):
                warnings.append(answer)
                continue
            for volume_name, seen in answer.items():
                found.setdefault(volume_name, Volume(volume_name, name, seen.created_ns))
        return [found[name] for name in sorted(found)], warnings

    async def find(self, name: str) -> Volume:
        """One of `listing`. Raises `NotFound` with Docker's wording."""
        if volume := self._volumes.get(name):
            return volume
        for plugin_name in await self.plugins.names():
            try:
                plugin = await self.plugins.get(plugin_name, patient=False)
                seen = await plugin.inspect(name)
            except DockwrightError:
                continue  # not there, or not to be asked
            return Volume(name, plugin_name, seen.created_ns)
        return self.get(name)

    async def inspect(self, volume: Volume) -> Seen:
        """What the driver tells of it; where a plugin is out of reach or has lost it, nothing."""
        try:
            return await (await self._driver(volume.driver)).inspect(volume.name)
        except DockwrightError as error:
            log.debug("volume %s: %s", volume.name, error)
            return Seen("")

    async def scope(self, volume: Volume) -> str:
        """`local` or `global`."""
        if volume.driver in self._drivers:
            return "local"
        try:
            driver = await self._driver(volume.driver)
            return await driver.scope() if isinstance(driver, Discovering) else "local"
        except DockwrightError:
            return "local"

    async def size_bytes(self, volume: Volume) -> int:
        """Bytes on disk; -1 for one that is not of this host's disk (as Docker counts: a plugin's, or with mount options)."""
        if volume.driver != "local" or "type" in volume.options:
            return -1
        return await workers.bulk(copying.tree_size, Path((await self.inspect(volume)).mountpoint))

    async def _all_of(self, name: str) -> dict[str, Seen] | str:
        try:
            return await (await self.plugins.get(name, patient=False)).all()
        except NotFound:
            return {}  # it does something else
        except DockwrightError as error:
            return str(error)

    async def _driver(self, name: str) -> VolumeDriver:
        driver = self._drivers.get(name)
        return driver if driver is not None else await self.plugins.get(name)
