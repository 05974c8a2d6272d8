"""The `local` driver: a directory of the data root per volume, with whatever its mount options put there.

root/<name>/_data          what containers see
root/<name>/options.json   the options, where there are some, and the project that a size limit counts by
root/.<name>.removing      on its way out
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dockwright import faults, workers
from dockwright.errors import Conflict, Invalid, NotFound
from dockwright.volume import hostmounts, options, quota
from dockwright.volume.seam import Seen

_OPTIONS_FILE = "options.json"


class _Kept(msgspec.Struct, frozen=True):
    """`options.json`. `project` is 0 without a size limit."""

    options: dict[str, str] = {}
    project: int = 0


class LocalVolumes:
    """Volumes at `root/<name>/_data`. What has mount options is mounted there while somebody uses it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._users: dict[str, set[str]] = {}
        self._plain: set[str] = set()  # known to have no options: nothing is mounted for them
        self._projects = threading.Lock()

    async def create(self, name: str, options_given: Mapping[str, str]) -> None:
        """See `VolumeDriver.create`. Raises `Invalid` for a size where the file system has no quotas, too."""
        await workers.quick(self._make, name, dict(options_given), options.parse(options_given))

    async def mount(self, name: str, user: str) -> Path:
        """See `VolumeDriver.mount`."""
        return await workers.quick(self._mount, name, user)

    async def unmount(self, name: str, user: str) -> None:
        """See `VolumeDriver.unmount`."""
        users = self._users.get(name)
        if users is not None:
            users.discard(user)
        if not users and name not in self._plain:
            await workers.quick(self._unmount, name)

    async def adopt(self, name: str, user: str) -> None:
        """See `Adopting.adopt`."""
        self._users.setdefault(name, set()).add(user)

    async def remove(self, name: str) -> None:
        """See `VolumeDriver.remove`. Raises `Conflict` while something foreign is mounted below its data."""
        await workers.bulk(self._remove, name)
        self._users.pop(name, None)
        self._plain.discard(name)

    async def rename(self, name: str, new_name: str) -> None:
        """See `Renaming.rename`."""
        await workers.quick(self._rename, name, new_name)
        self._plain.discard(name)
        if users := self._users.pop(name, None):
            self._users[new_name] = users

    async def inspect(self, name: str) -> Seen:
        """See `VolumeDriver.inspect`."""
        return Seen(str(self._data(name)))

    def _home(self, name: str) -> Path:
        return self._root / name

    def _data(self, name: str) -> Path:
        return self._root / name / "_data"

    def _kept(self, name: str) -> _Kept:
        try:
            return msgspec.json.decode((self._home(name) / _OPTIONS_FILE).read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept()

    def _make(self, name: str, given: dict[str, str], parsed: options.LocalOptions) -> None:
        data = self._data(name)
        try:
            self._home(name).mkdir(mode=0o701, parents=True)
            data.mkdir()
            data.chmod(0o755)  # whatever the umask
        except FileExistsError:
            if data.is_dir():
                return
            data.mkdir(mode=0o755)
        faults.point("volume.options")
        try:
            project = self._limit(data, parsed.size_bytes) if parsed.size_bytes else 0
        except Invalid:
            shutil.rmtree(self._home(name))
            raise
        if given:
            (self._home(name) / _OPTIONS_FILE).write_bytes(msgspec.json.encode(_Kept(given, project)))

    def _limit(self, data: Path, size_bytes: int) -> int:
        with self._projects:
            homes = [entry.name for entry in self._root.iterdir() if not entry.name.startswith(".")]
            taken = {self._kept(home).project for home in homes} - {0}
            return quota.limit(data, size_bytes, taken)

    def _mount(self, name: str, user: str) -> Path:
        data = self._data(name)
        if not data.is_dir():
            raise NotFound(f"volume {name}: its data is missing at {data}")
        plan = options.parse(self._kept(name).options).plan
        if plan is None:
            self._plain.add(name)
        else:
            faults.point("volume.mount")
            if not hostmounts.mounted(data):
                try:
                    hostmounts.mount(plan, data)
                except Invalid as error:
                    raise Invalid(f"error while mounting volume '{data}': {error}") from error
            self._users.setdefault(name, set()).add(user)
        return data

    def _unmount(self, name: str) -> None:
        if self._kept(name).options:
            hostmounts.unmount(self._data(name))

    def _remove(self, name: str) -> None:
        home, doomed = self._home(name), self._root / f".{name}.removing"
        if home.exists():
            hostmounts.unmount(self._data(name))
            if below := hostmounts.mounted_below(home):
                raise Conflict(f"remove {name}: {below[0]} is mounted there: unmount it first")
            if project := self._kept(name).project:
                quota.lift(home, project)
            faults.point("volume.remove")
            home.rename(doomed)
        # Nothing is mounted below, and nothing can be from here on: nobody knows the new name.
        shutil.rmtree(doomed, ignore_errors=True)

    def _rename(self, name: str, new_name: str) -> None:
        old, new = self._home(name), self._home(new_name)
        if not old.exists() and new.exists():
            return  # it has been done
        if new.exists():
            raise Conflict(f"rename {name}: {new} exists")
        try:
            os.rename(old, new)  # what is mounted below moves along
        except FileNotFoundError:
            raise NotFound(f"volume {name}: its data is missing at {old}") from None
