"""The `local` driver: a directory of the data root per volume."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from dockwright import workers
from dockwright.errors import NotFound, Unsupported


class LocalVolumes:
    """Volumes at `root/<name>/_data`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def create(self, name: str, options: Mapping[str, str]) -> None:
        if options:
            raise Unsupported(
                f"options of the local volume driver ({', '.join(sorted(options))}) are not supported yet"
            )
        await workers.quick(self._make, name)

    async def mount(self, name: str, user: str) -> Path:
        path = await self.mountpoint(name)
        if not await workers.quick(path.is_dir):
            raise NotFound(f"volume {name}: its data is missing at {path}")
        return path

    async def unmount(self, name: str, user: str) -> None:
        pass  # a plain directory is never mounted

    async def remove(self, name: str) -> None:
        await workers.bulk(self._remove, name)

    async def mountpoint(self, name: str) -> Path:
        return self._root / name / "_data"

    def _make(self, name: str) -> None:
        os.makedirs(self._root / name / "_data", mode=0o755, exist_ok=True)

    def _remove(self, name: str) -> None:
        doomed = self._root / f".{name}.removing"
        try:
            (self._root / name).rename(doomed)
        except FileNotFoundError:
            pass
        shutil.rmtree(doomed, ignore_errors=True)
