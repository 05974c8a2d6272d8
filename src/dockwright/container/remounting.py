"""`update --mount-add` and `--mount-rm`: mounts that come to and go from a container, running or not. Its process stays."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from dockwright import faults, workers
from dockwright.container import imagemounts, mounting, mountns, mounts, populating, telling
from dockwright.container import state as states
from dockwright.container.config import Mount
from dockwright.container.container import Container
from dockwright.container.mounts import MountPoint
from dockwright.errors import Conflict, Invalid, NotFound
from dockwright.undo import UndoStack, shielded

_RUNTIMES_OWN = ("/proc", "/sys", "/dev")


async def change(container: Container, add: Sequence[Mount], remove: Sequence[str]) -> None:
    """Take away what is mounted at the paths `remove`, then mount what `add` says; a running container sees it at once.

    Raises `Invalid`, `NotFound` for a path where nothing is mounted, `Conflict` for one that is taken; each mount is made or
    taken away whole, and those before a failure stay as they are.
    """
    states.check("update", container.status, container.id)
    points = mounts.from_mounts(add)
    paths = [mounts.clean_destination(path) for path in remove]
    async with container.held():
        states.check("update", container.status, container.id)
        _check(container, points, paths)
        for path in paths:
            point = _at(container, path)
            await shielded(_remove(container, point), limit_s=None)
            if container.live is not None:
                await telling.tell_volume(container.parts, container.record, point, "unmount")
        for point, mount in zip(points, add, strict=True):
            await _add(container, point, mount)
    await container.tell("update")


async def settle(container: Container) -> None:
    """At the daemon's start: a mount that was being made or taken away is taken away."""
    for point in [point for point in container.record.spec.points if point.pending]:
        await _remove(container, point)


def _check(container: Container, points: Sequence[MountPoint], paths: Sequence[str]) -> None:
    taken = {point.destination for point in container.record.spec.points} - set(paths)
    for path in paths:
        _at(container, path)
        if below := [other for other in sorted(taken) if other.startswith(path + "/")]:
            raise Conflict(f"{path} cannot be taken away: {below[0]} is mounted below it")
    for point in points:
        path = point.destination
        if path in taken:
            raise Conflict(f"Duplicate mount point: {path}")
        if path.startswith(tuple(f"{own}/" for own in _RUNTIMES_OWN)) or path in _RUNTIMES_OWN:
            raise Invalid(
                f"invalid mount path: '{path}' is the runtime's own and not mounted over in a running container"
            )
        taken.add(path)


async def _add(container: Container, point: MountPoint, mount: Mount) -> None:
    """Persist, then act, then tell. A failure or a cancellation leaves it as if nothing had been asked."""
    parts, record = container.parts, container.record
    async with UndoStack() as undo:
        point.pending = True
        undo.push_undo(_remove, container, point)
        record.spec.points = mounts.ordered([*record.spec.points, point])
        await mounting.claim_volumes(parts, container.id, [point])
        faults.point("update.populate")
        await populating.populate(parts, container.id, [point], mounted=container.live is not None)
        await parts.table.save_spec(record)
        faults.point("update.mount")
        if container.live is not None:
            await mounting.mount_points(parts, container.id, [point])
            faults.point("update.attach")
            async with _namespace(container) as namespace:
                await workers.bulk(mountns.attach, namespace, point)
        point.pending = False
        record.spec.host.mounts = [*(record.spec.host.mounts or []), mount]
        faults.point("update.persist")
        await parts.table.save_spec(record)
        undo.release()
    if container.live is not None:
        await telling.tell_volume(parts, record, point, "mount")


async def _remove(container: Container, point: MountPoint) -> None:
    """May be repeated, and begun anywhere: what is not there is fine."""
    parts, record = container.parts, container.record
    point.pending = True
    await parts.table.save_spec(record)
    faults.point("update.unmount")
    others = [other for other in record.spec.points if other is not point]
    if container.live is not None:
        async with _namespace(container) as namespace:
            await workers.bulk(mountns.detach, namespace, point.destination)
        await mounting.unmount_points(parts, container.id, [point], others)
    faults.point("update.detached")
    host = record.spec.host
    record.spec.points = others
    host.mounts = [mount for mount in host.mounts or [] if not _is_at(mount.target, point.destination)] or None
    host.binds = [bind for bind in host.binds or [] if not _is_at(_target(bind), point.destination)] or None
    host.tmpfs = {
        path: more for path, more in (host.tmpfs or {}).items() if not _is_at(path, point.destination)
    } or None
    await parts.table.save_spec(record)
    if point.type == "volume" and point.name not in {other.name for other in others}:
        parts.volumes.release(point.name, container.id)
    if point.type == "image":
        await imagemounts.forget(parts, container.id, point)


@asynccontextmanager
async def _namespace(container: Container) -> AsyncIterator[int]:
    """The mount namespace of a running container, as a descriptor. Raises `Conflict` when it has just ended."""
    live = container.live
    if live is None:
        raise Conflict(f"container {container.id} is not running")
    fd = await workers.acquired(os.open, os.close, f"/proc/{live.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not live.monitor.signal(0):  # its pid may have been given to another process before we opened this
            raise Conflict(f"container {container.id} has just ended")
        yield fd
    finally:
        os.close(fd)


def _at(container: Container, path: str) -> MountPoint:
    for point in container.record.spec.points:
        if point.destination == path:
            return point
    raise NotFound(f"no such mount in container {container.id}: {path}")


def _target(bind: str) -> str:
    parts = bind.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def _is_at(path: str, destination: str) -> bool:
    return mounts.clean_destination(path) == destination
