"""What a RUN sees beside its own tree: other trees, cache directories, tmpfs."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import stat
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from dockwright import archive, workers
from dockwright.build.cache import Tree
from dockwright.build.context import Context
from dockwright.build.dockerfile.instructions.mounts import Mount
from dockwright.build.running import Runner
from dockwright.container.mounts import MountPoint
from dockwright.errors import NotFound, Unsupported
from dockwright.oci import digest as digests
from dockwright.snapshot import Snapshotter
from dockwright.undo import UndoStack


class Mounter:
    """Mounts for build steps. `caches` is where cache mounts are kept, `directory` a place on the exec root."""

    def __init__(self, snapshots: Snapshotter, runner: Runner, caches: Path, directory: Path) -> None:
        self._snapshots, self._runner = snapshots, runner
        self._caches, self._directory = caches, directory
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

    async def point(
        self, stack: AsyncExitStack, mount: Mount, tree: Tree | None, context: Context
    ) -> MountPoint | None:
        """The mount point for `mount`; what it needs is released with `stack`. None for one that may be left out.

        Raises `NotFound` when its source is not there, `Unsupported`.
        """
        match mount.kind:
            case "tmpfs":
                size = [f"size={mount.size_bytes}"] if mount.size_bytes >= 0 else []
                options = ["nosuid", "nodev", "mode=1777", *size]
                return MountPoint(type="tmpfs", destination=mount.target, options=options)
            case "cache":
                source = await self._cache(stack, mount, tree)
                return MountPoint(type="bind", destination=mount.target, source=str(source), rw=not mount.readonly)
            case "bind":
                return await self._bind(stack, mount, tree, context)
        return None  # secrets and agents are lent, see `lent.borrowed`

    async def _bind(self, stack: AsyncExitStack, mount: Mount, tree: Tree | None, context: Context) -> MountPoint:
        if tree is None and not mount.readonly:
            raise Unsupported(
                "a writable bind mount of the build's context: mount a stage (from=...) or copy the files"
            )
        if tree is None:
            root = context.root
        elif mount.readonly:
            root = await stack.enter_async_context(self.shown(tree))
        else:  # what is written is thrown away
            _, root = await stack.enter_async_context(self._runner.changed(tree.chain))
        source = await workers.quick(_inside, root, mount.source)
        return MountPoint(type="bind", destination=mount.target, source=source, rw=not mount.readonly)

    async def _cache(self, stack: AsyncExitStack, mount: Mount, tree: Tree | None) -> Path:
        if tree is not None:
            raise Unsupported("a cache mount that begins with another tree's files (from=...)")
        name = digests.of((mount.id or mount.target).encode()).partition(":")[2][:32]
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
        await workers.quick(_make_cache, folder, mount)
        return folder / "fs"


def _make_cache(folder: Path, mount: Mount) -> None:
    inner = folder / "fs"
    if inner.is_dir():
        return
    folder.mkdir(mode=0o710, parents=True, exist_ok=True)
    inner.mkdir(exist_ok=True)
    os.chown(inner, max(0, mount.uid), max(0, mount.gid))
    inner.chmod(mount.mode if mount.mode >= 0 else 0o755)


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
