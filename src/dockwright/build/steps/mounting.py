"""What a RUN sees beside its own tree: other trees, cache directories, tmpfs."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import stat
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from dockwright import archive, workers
from dockwright.build.cache.records import Tree
from dockwright.build.dockerfile.instructions.mounts import Mount
from dockwright.build.solving import copying, selecting
from dockwright.build.steps.running import Runner
from dockwright.container.mounts import MountPoint
from dockwright.errors import NotFound
from dockwright.oci import digest as digests
from dockwright.snapshot import Snapshotter
from dockwright.undo import UndoStack

_NEW = ".new-"


class Mounter:
    """Mounts for build steps.

    `caches` is where cache mounts are kept, `copies` where copies lie that one step needs, `directory` is on the exec root.
    """

    def __init__(self, snapshots: Snapshotter, runner: Runner, caches: Path, directory: Path, copies: Path) -> None:
        self._snapshots, self._runner = snapshots, runner
        self._caches, self._directory, self._copies = caches, directory, copies
        # How many steps have a cache mounted, by its folder's name.
        self.used: Counter[str] = Counter()
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        # Who holds a cache alone; and which directories are in use by somebody who wants one of their own.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._private: set[Path] = set()

    @asynccontextmanager
    async def shown(self, tree: Tree) -> AsyncIterator[Path]:
        """Where the files of `tree` can be read, for as long as the context lasts."""
        async with self.place("view") as folder:
            target = folder / "rootfs"
            await workers.quick(target.mkdir)
            async with self.placed(tree, target, folder.name):
                yield target

    @asynccontextmanager
    async def place(self, kind: str) -> AsyncIterator[Path]:
        """A directory for mounts, for as long as the context lasts; after a crash the next start takes it away with them."""
        folder = self._directory / f"{kind}-{secrets.token_hex(16)}"
        async with UndoStack() as undo:
            undo.push_undo(workers.quick, shutil.rmtree, folder, ignore_errors=True)
            await workers.quick(folder.mkdir, parents=True)
            yield folder

    @asynccontextmanager
    async def placed(self, tree: Tree, target: Path, key: str, *, readonly: bool = True) -> AsyncIterator[None]:
        """The files of `tree`, mounted at the directory `target` of a `place`; what is written there is thrown away.

        `key` is the name of that place, followed by `.N` where it has several.
        """
        async with UndoStack() as undo:
            if tree.chain is not None:
                await (self._snapshots.view if readonly else self._snapshots.prepare)(key, tree.chain)
                undo.push_undo(self._snapshots.remove, key)
                undo.push_undo(self._snapshots.unmount, target)
                await self._snapshots.mount(key, target, readonly=readonly)
            yield

    def folders(self) -> list[Path]:
        """Where the cache mounts lie that there are. Blocking."""
        if not self._caches.is_dir():
            return []
        return sorted(entry for entry in self._caches.iterdir() if not entry.name.startswith(_NEW))

    def remove(self, folder: Path) -> bool:
        """Delete a cache mount, unless a step has it. Blocking."""
        if self.used[folder.name] > 0:
            return False
        gone = folder.with_name(f"{_NEW}{secrets.token_hex(16)}")
        try:
            os.rename(folder, gone)
        except FileNotFoundError:
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def clear(self) -> None:
        """At the engine's start: delete caches that were being made or deleted. Blocking."""
        for entry in self._caches.iterdir() if self._caches.is_dir() else []:
            if entry.name.startswith(_NEW):
                shutil.rmtree(entry, ignore_errors=True)

    async def point(
        self, stack: AsyncExitStack, mount: Mount, tree: Tree | None, place: selecting.Tree | None
    ) -> MountPoint | None:
        """The mount point for `mount` of layers or of a directory; what it needs is released with `stack`.

        None for what is lent, see `lent.borrowed`. Raises `NotFound` when its source is not there.
        """
        match mount.kind:
            case "tmpfs":
                size = [f"size={mount.size_bytes}"] if mount.size_bytes >= 0 else []
                options = ["nosuid", "nodev", "mode=1777", *size, *(["ro"] if mount.readonly else [])]
                return MountPoint(type="tmpfs", destination=mount.target, options=options)
            case "cache":
                source = await self._cache(stack, mount, tree, place)
                within = "" if mount.from_ else mount.source  # else the cache begins with what is there
                path = await workers.quick(_inside, source, within)
                return MountPoint(type="bind", destination=mount.target, source=path, rw=not mount.readonly)
            case "bind":
                path = await self._bind(stack, mount, tree, place)
                return MountPoint(type="bind", destination=mount.target, source=path, rw=not mount.readonly)
        return None

    async def _bind(self, stack: AsyncExitStack, mount: Mount, tree: Tree | None, place: selecting.Tree | None) -> str:
        """What is written to it is thrown away."""
        if place is not None:
            if mount.readonly and not await workers.bulk(selecting.leaves_something_out, place):
                return await workers.quick(_inside, place.root, mount.source)
            folder = await stack.enter_async_context(self._copied(place, mount.source))
            return await workers.quick(_alone, folder)
        assert tree is not None, "a bind has a source"
        if mount.readonly:
            root = await stack.enter_async_context(self.shown(tree))
        else:
            _, root = await stack.enter_async_context(self._runner.changed(tree.chain))
        return await workers.quick(_inside, root, mount.source)

    @asynccontextmanager
    async def _copied(self, place: selecting.Tree, path: str) -> AsyncIterator[Path]:
        """A copy of what is at `path`, without what is left out of it."""
        folder = self._copies / secrets.token_hex(16)
        async with UndoStack() as undo:
            undo.push_undo(workers.bulk, shutil.rmtree, folder, ignore_errors=True)
            await workers.quick(folder.mkdir, mode=0o755, parents=True)
            await workers.bulk(copying.copy_path, place, path, folder)
            yield folder

    async def _cache(
        self, stack: AsyncExitStack, mount: Mount, tree: Tree | None, place: selecting.Tree | None
    ) -> Path:
        """The directory of a cache; another base is another cache."""
        begins = f"{tree.chain}:{mount.source}" if tree is not None else f"{place.root}:{mount.source}" if place else ""
        called = (mount.id or mount.target) + (f"\n{begins}" if begins else "")
        name = digests.of(called.encode()).partition(":")[2][:32]
        folder = self._caches / name
        if mount.sharing == "locked":
            await stack.enter_async_context(self._locks[name])
        elif mount.sharing == "private":
            number = 0
            while folder in self._private:
                number += 1
                folder = self._caches / f"{name}-{number}"
            self._private.add(folder)
            stack.callback(self._private.discard, folder)
        self.used[folder.name] += 1
        stack.callback(self.used.subtract, [folder.name])
        async with self._making[folder.name]:
            if not await workers.quick((folder / "fs").is_dir):
                await self._begin(folder, mount, tree, place)
        await workers.quick(os.utime, folder)
        return folder / "fs"

    async def _begin(self, folder: Path, mount: Mount, tree: Tree | None, place: selecting.Tree | None) -> None:
        """A cache that is empty, or what it begins with."""
        async with AsyncExitStack() as stack:
            if tree is not None:
                place = selecting.Tree(await stack.enter_async_context(self.shown(tree)))
            await workers.bulk(_make_cache, folder, mount, place)


def _make_cache(folder: Path, mount: Mount, begins: selecting.Tree | None) -> None:
    new = folder.with_name(f"{_NEW}{folder.name}")
    shutil.rmtree(new, ignore_errors=True)
    inner = new / "fs"
    new.mkdir(mode=0o710, parents=True)
    inner.mkdir()
    if begins is not None:
        copying.copy_path(begins, mount.source or "/", inner)
    os.chown(inner, max(0, mount.uid), max(0, mount.gid))
    inner.chmod(mount.mode if mount.mode >= 0 else 0o755)
    os.rename(new, folder)


def _alone(folder: Path) -> str:
    """The file in `folder`, or `folder` itself."""
    file = folder / "file"
    return str(file if os.listdir(folder) == ["file"] and file.is_file() else folder)


def _inside(root: Path, path: str) -> str:
    """The host's path of what `path` leads to below `root`, and nowhere else."""
    with archive.Root(root) as opened:
        try:
            fd = opened.pin(os.fsencode(path.strip("/")))
        except OSError as error:
            raise NotFound(f"{path}: {error.strerror}") from None
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode) and not stat.S_ISREG(os.fstat(fd).st_mode):
                raise NotFound(f"{path}: neither a directory nor a regular file")
            return os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
