"""Mount points made real: volumes and images mounted, bind sources checked; and everything unmounted again."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
from pathlib import Path

import msgspec

from dockwright import faults, rooted, workers
from dockwright.container import imagemounts
from dockwright.container.mounts import MountPoint
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.errors import HostFailure, Invalid, NotFound
from dockwright.undo import UndoStack
from dockwright.volume import Volume

_MNT_DETACH = 2
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC = 1, 2, 4, 8, 32, 4096, 16384
_MS_PRIVATE = 1 << 18
_PINS = "pinned"
_libc = ctypes.CDLL(None, use_errno=True)


async def claim_volumes(parts: Parts, container_id: str, points: list[MountPoint]) -> None:
    """At create: make the volumes that the points name (anonymous ones get their name) and claim them.

    Raises `Invalid` when a bind source that must exist does not, or a volume cannot be.
    """
    for point in points:
        if point.type == "bind" and not point.create_source and not await workers.quick(os.path.exists, point.source):
            raise Invalid(f'invalid mount config for type "bind": bind source path does not exist: {point.source}')
        if point.type == "image":
            await imagemounts.claim(parts, container_id, point)
        if point.type != "volume":
            continue
        try:
            volume, _ = await parts.volumes.acquire(
                point.name, driver=point.driver, labels=point.labels, options=point.driver_options, user=container_id
            )
        except NotFound as error:
            # "not found" as the answer to a create has clients pull the image and try again.
            raise Invalid(str(error)) from None
        point.name, point.driver = volume.name, volume.driver
        point.source = (await parts.volumes.inspect(volume)).mountpoint


def release_volumes(parts: Parts, record: Record, *, remove_anonymous: bool) -> list[Volume]:
    """The container is gone: give up its claims, all at once.

    Returns the volumes that went with it, the anonymous ones of `remove_anonymous`: for `remove_volumes`.
    """
    points = [point for point in record.spec.points if point.type == "volume"]
    anonymous = [point.name for point in points if point.anonymous and remove_anonymous]
    return parts.volumes.forsake(record.id, [point.name for point in points], anonymous)


async def remove_volumes(parts: Parts, record: Record, doomed: list[Volume]) -> None:
    """Remove what is left of what `release_volumes` returned, and what the container's image mounts took."""
    await parts.volumes.discard(doomed)
    await imagemounts.release(parts, record)


async def keep_anonymous(parts: Parts, record: Record) -> None:
    """Before the container goes without its anonymous volumes: they stay."""
    await parts.volumes.keep([point.name for point in record.spec.points if point.type == "volume" and point.anonymous])


async def mount_volumes(parts: Parts, record: Record) -> list[MountPoint]:
    """At start: mount every volume and image, check every bind source.

    Returns the points with host paths. Raises `Invalid` for a source that cannot be used.
    """
    await mount_points(parts, record.id, record.spec.points)
    return record.spec.points


async def mount_points(parts: Parts, container_id: str, points: list[MountPoint]) -> None:
    """The same for some points."""
    paths: dict[str, Path] = {}
    for point in points:
        if point.type == "volume":
            faults.point("start.volume")
            if point.name not in paths:
                paths[point.name] = await parts.volumes.mount(point.name, container_id)
            point.source = str(paths[point.name])
        elif point.type == "image":
            point.source = str(await imagemounts.mount(parts, container_id, point))
        elif point.type == "bind":
            await workers.quick(_check_bind, point)
        point.pinned = ""
        if point.subpath:
            point.pinned = await workers.quick(_pin, parts.paths.bundle(container_id), point)


async def unmount_volumes(parts: Parts, record: Record) -> None:
    """The undo of `mount_volumes`."""
    await unmount_points(parts, record.id, record.spec.points, [])


async def unmount_points(parts: Parts, container_id: str, points: list[MountPoint], others: list[MountPoint]) -> None:
    """The undo of `mount_points`; what the container's `others` need stays."""
    kept = {point.name for point in others if point.type == "volume"}
    bundle = parts.paths.bundle(container_id)
    async with UndoStack() as undo:  # one that fails does not keep the others mounted
        for name in sorted({point.name for point in points if point.type == "volume"} - kept):
            undo.push_undo(parts.volumes.unmount, name, container_id)
        for point in points:
            if point.type == "image":
                undo.push_undo(imagemounts.unmount, parts, container_id, point)
            if point.subpath:
                undo.push_undo(workers.quick, unmount_below, _pin_of(bundle, point))


async def adopt_volumes(parts: Parts, record: Record) -> None:
    """At the daemon's start: the container went on with what a former daemon mounted."""
    for name in {point.name for point in record.spec.points if point.type == "volume"}:
        await parts.volumes.adopt(name, record.id)


def like_below(rootfs: Path, points: list[MountPoint]) -> list[MountPoint]:
    """The points, each tmpfs as open as the directory it covers (/root stays 0700) unless a mode was asked for. Blocking."""
    return [_like_below(rootfs, point) if point.type == "tmpfs" else point for point in points]


def bind_at_rest(rootfs: Path, points: list[MountPoint]) -> None:
    """Show volumes and bind sources where a container that does not run would see them; `unmount_below` is the undo. Blocking.

    Raises `HostFailure`, and `Invalid` where something is in the way.
    """
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY)
    try:
        for point in points:
            if point.type != "tmpfs":
                _bind(root_fd, point)
    except OSError as error:
        raise Invalid(f"cannot mount {error.filename}: {error.strerror}") from error
    finally:
        os.close(root_fd)


def mount_shared_memory(path: Path, size_bytes: int) -> None:
    """A tmpfs that other containers may join. Raises `HostFailure`."""
    path.mkdir(mode=0o1777, parents=True, exist_ok=True)
    if os.path.ismount(path):
        return
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    data = f"mode=1777,size={size_bytes or 64 << 20}".encode()
    if _libc.mount(b"shm", os.fsencode(path), b"tmpfs", flags, data):
        raise HostFailure(f"mounting {path}: {os.strerror(ctypes.get_errno())}")


def unmount_inside(directory: Path) -> None:
    """Detach whatever is mounted below `directory`, deepest first, and leave what is mounted on it."""
    _unmount(directory, itself=False)


def unmount_below(directory: Path) -> None:
    """Detach whatever is mounted at or below `directory`, deepest first."""
    _unmount(directory, itself=True)


def _unmount(directory: Path, *, itself: bool) -> None:
    prefix = os.fsencode(directory)
    with open("/proc/self/mountinfo", "rb") as table:
        targets = [line.split(b" ")[4].decode("unicode_escape").encode("latin-1") for line in table if prefix in line]
    for target in sorted(targets, key=len, reverse=True):
        if (itself and target == prefix) or target.startswith(prefix + b"/"):
            _libc.umount2(target, _MNT_DETACH)


def remove_tree(directory: Path) -> None:
    """Delete a directory of ours; one that is not there is fine. Never crosses into a mount: call `unmount_below` first."""
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        pass


def _like_below(rootfs: Path, point: MountPoint) -> MountPoint:
    if any(option.startswith("mode=") for option in point.options):
        return point
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = rooted.open_in_root(root_fd, point.destination, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return point  # the image has nothing there
    finally:
        os.close(root_fd)
    try:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)
    return msgspec.structs.replace(point, options=[*point.options, f"mode={mode:o}"])


def _bind(root_fd: int, point: MountPoint) -> None:
    source = point.pinned or point.source
    os.close(open_mount_point(root_fd, point.destination, directory=os.path.isdir(source)))
    _mount(root_fd, point, os.fsencode(source), _MS_BIND | _MS_REC)
    # Its own from now on: what is unmounted here later stays mounted where it came from.
    _mount(root_fd, point, None, _MS_PRIVATE | _MS_REC)
    if not point.rw:
        _mount(root_fd, point, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)


def _mount(root_fd: int, point: MountPoint, source: bytes | None, flags: int) -> None:
    """mount(2) on what is at the point now: each call sees the mount made by the one before."""
    fd = rooted.open_in_root(root_fd, point.destination, os.O_PATH)
    try:
        if _libc.mount(source, f"/proc/self/fd/{fd}".encode(), None, flags, None):
            raise HostFailure(f"mounting {point.destination}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(fd)


def open_mount_point(root_fd: int, path: str, *, directory: bool) -> int:
    """What is at `path`, made where it is missing; the caller owns the descriptor."""
    try:
        return rooted.open_in_root(root_fd, path, os.O_PATH)
    except FileNotFoundError:
        if directory:
            return rooted.make_directories(root_fd, path)
    parent_fd = rooted.make_directories(root_fd, os.path.dirname(path))
    try:
        return os.open(os.path.basename(path), os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, dir_fd=parent_fd)
    finally:
        os.close(parent_fd)


def _pin_of(bundle: Path, point: MountPoint) -> Path:
    return bundle / _PINS / point.destination.strip("/").replace("/", "%")


def _pin(bundle: Path, point: MountPoint) -> str:
    """Hold the part of a volume or image that `subpath` leads to, found inside it, in place by a bind of the thing itself."""
    root_fd = os.open(point.source, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = rooted.open_in_root(root_fd, point.subpath, os.O_PATH)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise Invalid(f"cannot access path {point.subpath} of the {point.type}: {reason}") from error
    finally:
        os.close(root_fd)
    try:
        target = _pin_of(bundle, point)
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        if _libc.mount(f"/proc/self/fd/{fd}".encode(), os.fsencode(target), None, _MS_BIND | _MS_REC, None):
            raise HostFailure(f"mounting {point.destination}: {os.strerror(ctypes.get_errno())}")
        return str(target)
    finally:
        os.close(fd)


def _check_bind(point: MountPoint) -> None:
    if os.path.lexists(point.source):
        _check_propagation(point)
        return
    if not point.create_source:
        raise Invalid(f'invalid mount config for type "bind": bind source path does not exist: {point.source}')
    try:
        os.makedirs(point.source, exist_ok=True)
    except OSError as error:
        raise Invalid(f"error while creating mount source path '{point.source}': {error.strerror}") from error


def _check_propagation(point: MountPoint) -> None:
    """Raises `Invalid`, in Docker's words, where mounts would not propagate as was asked."""
    wanted = point.propagation.removeprefix("r")
    if wanted not in ("shared", "slave"):
        return
    source = os.path.realpath(point.source)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        mounts = [line.partition(" - ")[0].split(" ") for line in table]
    over = max(
        (fields for fields in mounts if source == fields[4] or source.startswith(fields[4].rstrip("/") + "/")),
        key=lambda fields: len(fields[4]),
    )
    shared = any(field.startswith("shared:") for field in over[6:])
    slave = any(field.startswith("master:") for field in over[6:])
    if not shared and not (slave and wanted == "slave"):
        what = "a shared mount" if wanted == "shared" else "a shared or slave mount"
        raise Invalid(f"path {point.source} is mounted on {over[4]} but it is not {what}")
