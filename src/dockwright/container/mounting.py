"""Mount points made real: volumes mounted and filled, bind sources checked; and everything unmounted again."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
from pathlib import Path

import msgspec

from dockwright import faults, rooted, workers
from dockwright.container.mounts import MountPoint
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.errors import HostFailure, Invalid

_MNT_DETACH = 2
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC = 1, 2, 4, 8, 32, 4096, 16384
_MS_PRIVATE = 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)

__all__ = ["MountPoint", "bind_at_rest", "claim_volumes", "mount_volumes", "release_volumes", "unmount_volumes"]


async def claim_volumes(parts: Parts, container_id: str, points: list[MountPoint]) -> list[str]:
    """At create: make the volumes that the points name (anonymous ones get their name) and claim them.

    Returns the names of the volumes that were made now. Raises `Invalid` when a bind source that must exist does not.
    """
    made = []
    for point in points:
        if point.type == "bind" and not point.create_source and not await workers.quick(os.path.exists, point.source):
            raise Invalid(f'invalid mount config for type "bind": bind source path does not exist: {point.source}')
        if point.type != "volume":
            continue
        known = {volume.name for volume in parts.volumes.all()}
        volume = await parts.volumes.create(
            point.name, driver=point.driver or "local", labels=point.labels, options=point.driver_options
        )
        if volume.name not in known:
            made.append(volume.name)
        point.name, point.driver = volume.name, volume.driver
        point.source = str(await parts.volumes.mountpoint(volume.name))
        parts.volumes.claim(volume.name, container_id)
    return made


async def release_volumes(parts: Parts, record: Record, *, remove_anonymous: bool) -> None:
    """The container is gone: give up its claims, and with `remove_anonymous` delete what nobody else can name."""
    for point in record.spec.points:
        if point.type != "volume":
            continue
        parts.volumes.release(point.name, record.id)
        if remove_anonymous and point.anonymous and not parts.volumes.users(point.name):
            await parts.volumes.remove(point.name)


async def mount_volumes(parts: Parts, record: Record, rootfs: Path) -> list[MountPoint]:
    """At start: mount every volume, fill empty ones from the image's directory, check every bind source.

    Returns the points with host paths. Raises `Invalid` for a source that cannot be used.
    """
    for point in record.spec.points:
        if point.type == "volume":
            faults.point("start.volume")
            path = await parts.volumes.mount(point.name, record.id)
            point.source = str(await workers.quick(_subpath, path, point.subpath))
            if not point.no_copy and not point.subpath:
                await workers.bulk(_populate, rootfs, point)
        elif point.type == "bind":
            await workers.quick(_check_bind, point)
    return record.spec.points


async def unmount_volumes(parts: Parts, record: Record) -> None:
    """The undo of `mount_volumes`."""
    for point in record.spec.points:
        if point.type == "volume":
            await parts.volumes.unmount(point.name, record.id)


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
    os.close(_mount_point(root_fd, point.destination, directory=os.path.isdir(point.source)))
    _mount(root_fd, point, os.fsencode(point.source), _MS_BIND | _MS_REC)
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


def _mount_point(root_fd: int, path: str, *, directory: bool) -> int:
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


def _subpath(volume: Path, subpath: str) -> Path:
    if not subpath:
        return volume
    volume_fd = os.open(volume, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = rooted.open_in_root(volume_fd, subpath, os.O_PATH)
        try:
            return Path(os.readlink(f"/proc/self/fd/{fd}"))
        finally:
            os.close(fd)
    except OSError as error:
        raise Invalid(f"cannot access path {subpath} of the volume: {error.strerror}") from error
    finally:
        os.close(volume_fd)


def _populate(rootfs: Path, point: MountPoint) -> None:
    """Docker fills an empty volume with what the image has at the mount point, owner and mode included."""
    target = Path(point.source)
    if any(target.iterdir()):
        return
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY)
    try:
        source_fd = rooted.open_in_root(root_fd, point.destination, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # the image has nothing there
    finally:
        os.close(root_fd)
    try:
        # GNU cp keeps owners, modes, times, xattrs and hard links; the descriptor keeps it inside the image.
        copied = subprocess.run(
            ["cp", "-a", "--reflink=auto", f"/proc/self/fd/{source_fd}/.", str(target)],
            pass_fds=(source_fd,),
            capture_output=True,
            check=False,
        )
        if copied.returncode:
            raise HostFailure(f"filling volume {point.name}: {copied.stderr.decode(errors='replace').strip()}")
    finally:
        os.close(source_fd)


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
