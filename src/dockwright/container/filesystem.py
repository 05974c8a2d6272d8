"""A container's files seen from outside: copies in and out, export, changes.

A running container is entered through `/proc/<pid>/root`, where its mounts are seen as it sees them; one at rest is mounted for
as long as the copy lasts, and a start waits for that.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dockwright import archive, workers
from dockwright.archive import PathStat
from dockwright.container import mounting, starting
from dockwright.container.container import Container
from dockwright.container.mounts import MountPoint
from dockwright.container.spec import users
from dockwright.errors import Conflict, Forbidden, NotFound
from dockwright.snapshot import Change
from dockwright.undo import UndoStack


async def stat(container: Container, path: str) -> PathStat:
    """What is at `path`. Raises `NotFound` with Docker's wording."""
    async with _inside(container) as root:
        try:
            return await archive.stat_path(root, path)
        except NotFound:
            raise _no_file(container, path) from None


@asynccontextmanager
async def reading(container: Container, path: str) -> AsyncIterator[tuple[PathStat, AsyncGenerator[bytes, None]]]:
    """What is at `path`, and a tar of it. Raises `NotFound` with Docker's wording."""
    async with _inside(container) as root:
        try:
            found = await archive.stat_path(root, path)
        except NotFound:
            raise _no_file(container, path) from None
        yield found, archive.read(root, path)


async def write(
    container: Container,
    path: str,
    stream: AsyncIterable[bytes],
    *,
    no_overwrite_dir_non_dir: bool = False,
    copy_uid_gid: bool = False,
) -> None:
    """Unpack a tar into the directory `path`; with `copy_uid_gid` everything belongs to the container's user, where it has one.

    Raises `NotFound`, `Invalid` for what is no directory or no archive, `Forbidden` where the container may not write.
    """
    _check_writable(container, path)
    async with _inside(container) as root:
        has_user = bool(container.record.spec.config.user)
        owner = await workers.quick(_owner, root, container) if copy_uid_gid and has_user else None
        try:
            await archive.write(root, path, stream, no_overwrite_dir_non_dir=no_overwrite_dir_non_dir, owner=owner)
        except NotFound:
            raise _no_file(container, path) from None


@asynccontextmanager
async def exporting(container: Container) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """A tar of the root file system, without what is mounted in it."""
    live = container.live
    if live is not None:
        yield archive.export(container.parts.paths.rootfs(container.id))
        return
    async with _at_rest(container) as root:
        yield archive.export(root)


async def changes(container: Container) -> list[Change]:
    """How its file system differs from its image."""
    return await container.parts.snapshots.changes(container.id)


@asynccontextmanager
async def _inside(container: Container) -> AsyncIterator[Path | int]:
    live = container.live
    if live is None:
        async with _at_rest(container) as root, _mounted(container, root):
            yield root
        return
    fd = await workers.acquired(os.open, os.close, f"/proc/{live.pid}/root", os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not live.monitor.signal(0):  # its pid may have been given to another process before we opened its root
            raise Conflict(f"container {container.id} has just ended")
        yield fd
    finally:
        os.close(fd)


@asynccontextmanager
async def _at_rest(container: Container) -> AsyncIterator[Path]:
    async with container.at_rest():
        snapshots, bundle = container.parts.snapshots, container.parts.paths.bundle(container.id)
        target = bundle / "rootfs"
        await workers.quick(target.mkdir, parents=True, exist_ok=True)
        try:
            await snapshots.mount(container.id, target)
            yield target
        finally:
            await snapshots.unmount(target)
            await starting.remove_bundle(container.parts, container.id)


@asynccontextmanager
async def _mounted(container: Container, root: Path) -> AsyncIterator[None]:
    """Its volumes and binds, mounted below `root` while the context lasts."""
    parts, record = container.parts, container.record
    if not record.spec.points:
        yield
        return
    async with UndoStack() as undo:
        undo.push_undo(mounting.unmount_volumes, parts, record)
        points = await mounting.mount_volumes(parts, record)
        undo.push_undo(workers.quick, mounting.unmount_inside, root)
        await workers.quick(mounting.bind_at_rest, root, points)
        yield


def _owner(root: Path | int, container: Container) -> tuple[int, int]:
    where = root if isinstance(root, Path) else Path(f"/proc/self/fd/{root}")
    user = users.resolve(where, container.record.spec.config.user, [])
    return user.uid, user.gid


def _check_writable(container: Container, path: str) -> None:
    cleaned = os.path.normpath("/" + path.lstrip("/"))

    def holds(point: MountPoint) -> bool:
        return cleaned == point.destination or cleaned.startswith(point.destination + "/")

    within = [point for point in container.record.spec.points if holds(point)]
    if within and not max(within, key=lambda point: len(point.destination)).rw:
        raise Forbidden("mounted volume is marked read-only")
    if not within and container.record.spec.host.readonly_rootfs:
        raise Forbidden("container rootfs is marked read-only")


def _no_file(container: Container, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {container.name}")
