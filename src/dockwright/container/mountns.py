"""Mounts made and taken away in a running container's mount namespace: open_tree(2), fsopen(2), move_mount(2). Blocking.

What is mounted is picked up in the host's namespace, as a descriptor that belongs nowhere yet, and set down in the
container's by a thread that enters it and then ends: a mount namespace is a thread's, and nothing else must see this one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable

from dockwright import rooted
from dockwright.container.mounting import open_mount_point
from dockwright.container.mounts import MountPoint
from dockwright.errors import HostFailure, Invalid, Unsupported
from dockwright.kernel import apart, checked

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# Numbers since Linux 5.2 (mount_setattr: 5.12), the same on every architecture that has them.
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_FROM_EMPTY, _MOVE_TO_EMPTY = 0x04, 0x40
_SET_STRING, _CMD_CREATE = 1, 6
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_CLONE_NEWNS = 0x20000
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_ATTRIBUTES = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 0x10, "strictatime": 0x20, "nodiratime": 0x80}
_OF_TMPFS = frozenset(("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))
_PROPAGATIONS = {"private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}
_MOUNT_ATTR = struct.Struct("=QQQQ")


def attach(namespace: int, point: MountPoint) -> None:
    """Mount what `point` names in the mount namespace that the descriptor `namespace` is of.

    Raises `Invalid` where the container's files do not allow it, `HostFailure`.
    """
    picked = None if point.type == "tmpfs" else _pick_up(point)
    try:
        _in_namespace(namespace, lambda: _set_down(picked, point))
    finally:
        if picked is not None:
            os.close(picked)


def detach(namespace: int, destination: str) -> None:
    """Take away what is mounted at `destination`; fine when nothing is."""
    # The descriptors of this process as the host's /proc shows them: the container's knows nothing of us.
    descriptors = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
    try:
        _in_namespace(namespace, lambda: _take_away(destination, descriptors))
    finally:
        os.close(descriptors)


def _pick_up(point: MountPoint) -> int:
    source = point.pinned or point.source
    what = f"mount of {source}"
    recursive = 0 if point.non_recursive else _AT_RECURSIVE
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | recursive
    tree = checked(_libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags), what)
    try:
        propagation = _PROPAGATIONS[(point.propagation or "rprivate").removeprefix("r")]
        _set_attributes(tree, 0, propagation, _AT_RECURSIVE, what)
        if not point.rw:
            _set_attributes(tree, _ATTRIBUTES["ro"], 0, _AT_RECURSIVE if point.recursive_read_only else 0, what)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _set_attributes(tree: int, attributes: int, propagation: int, flags: int, what: str) -> None:
    wanted = _MOUNT_ATTR.pack(attributes, 0, propagation, 0)
    result = _libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH | flags, wanted, _MOUNT_ATTR.size)
    if result < 0 and ctypes.get_errno() == errno.ENOSYS:
        raise Unsupported("mounting into a running container needs Linux 5.12 (mount_setattr)")
    checked(result, what)


def _set_down(picked: int | None, point: MountPoint) -> None:
    """In the container's namespace: its root is this thread's."""
    directory = picked is None or stat.S_ISDIR(os.fstat(picked).st_mode)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        target = open_mount_point(root, point.destination, directory=directory)
    except OSError as error:
        raise Invalid(f"cannot mount at {point.destination}: {error.strerror}") from error
    finally:
        os.close(root)
    try:
        if stat.S_ISDIR(os.fstat(target).st_mode) != directory:
            raise Invalid(
                f"cannot mount at {point.destination}: are you trying to mount a directory onto a file (or vice-versa)?"
            )
        tree = picked if picked is not None else _tmpfs(point, stat.S_IMODE(os.fstat(target).st_mode))
        try:
            how = _MOVE_FROM_EMPTY | _MOVE_TO_EMPTY
            checked(_libc.syscall(_MOVE_MOUNT, tree, b"", target, b"", how), f"mount at {point.destination}")
        finally:
            if picked is None:
                os.close(tree)
    finally:
        os.close(target)


def _tmpfs(point: MountPoint, mode: int) -> int:
    what = f"tmpfs at {point.destination}"
    context = checked(_libc.syscall(_FSOPEN, b"tmpfs", _FSOPEN_CLOEXEC), what)
    try:
        attributes = 0 if point.rw else _ATTRIBUTES["ro"]
        values = {"source": "tmpfs", "mode": f"{mode:o}"}
        for option in point.options:
            name, _, value = option.partition("=")
            attributes |= _ATTRIBUTES.get(name, 0)
            if name in _OF_TMPFS:
                values[name] = value
        for name, value in values.items():
            checked(_libc.syscall(_FSCONFIG, context, _SET_STRING, name.encode(), value.encode(), 0), f"{what}: {name}")
        checked(_libc.syscall(_FSCONFIG, context, _CMD_CREATE, None, None, 0), what)
        return checked(_libc.syscall(_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes), what)
    finally:
        os.close(context)


def _take_away(destination: str, descriptors: int) -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        target = rooted.open_in_root(root, destination, os.O_PATH)
    except OSError:
        return
    finally:
        os.close(root)
    try:
        # The path the kernel knows it by: no link on the way, and none at its end.
        real = os.readlink(str(target), dir_fd=descriptors)
    finally:
        os.close(target)
    if _libc.umount2(os.fsencode(real), _MNT_DETACH | _UMOUNT_NOFOLLOW) and ctypes.get_errno() != errno.EINVAL:
        raise HostFailure(f"unmounting {destination}: {os.strerror(ctypes.get_errno())}")


def _in_namespace(namespace: int, act: Callable[[], None]) -> None:
    def entered() -> None:
        checked(_libc.setns(namespace, _CLONE_NEWNS), "entering the container's mount namespace")
        act()

    apart(entered, "mount namespace")
