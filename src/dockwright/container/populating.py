"""Docker fills an empty volume with what the image has at its mount point, owners and modes included: when a container is
given it, once."""

from __future__ import annotations

import os
from pathlib import Path

from dockwright import faults, rooted, workers
from dockwright.container import starting
from dockwright.container.mounts import MountPoint
from dockwright.container.parts import Parts
from dockwright.undo import UndoStack


async def populate(parts: Parts, container_id: str, points: list[MountPoint], *, mounted: bool = False) -> None:
    """Fill the volumes that are empty. The container's snapshot, unless `mounted`, is mounted only when there is one to fill.

    Raises what mounting a volume raises, `HostFailure` when the copy fails.
    """
    wanted = [point for point in points if point.type == "volume" and not point.no_copy and not point.subpath]
    rootfs = parts.paths.rootfs(container_id)
    async with UndoStack() as undo:
        for point in wanted:

            async def source(point: MountPoint = point) -> Path | None:
                nonlocal mounted
                if not mounted:
                    undo.push_undo(starting.remove_bundle, parts, container_id)
                    await workers.quick(rootfs.mkdir, parents=True, exist_ok=True)
                    undo.push_undo(parts.snapshots.unmount, rootfs)
                    faults.point("create.populate")
                    await parts.snapshots.mount(container_id, rootfs)
                    mounted = True
                return await workers.quick(_directory, rootfs, point.destination)

            await parts.copies.fill(point.name, container_id, source)


def _directory(rootfs: Path, path: str) -> Path | None:
    """The directory that the image has at `path`, found inside the root and nowhere else."""
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = rooted.open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return None
    finally:
        os.close(root_fd)
    try:
        return Path(os.readlink(f"/proc/self/fd/{fd}"))
    finally:
        os.close(fd)
