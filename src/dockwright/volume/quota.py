"""Limits on the size of a directory: project quotas of ext4 and XFS (quotactl_fd(2), Linux 5.14)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Collection
from pathlib import Path

from dockwright.errors import HostFailure, Invalid

_QUOTACTL_FD = 443
_PRJQUOTA = 2
_Q_GETQUOTA, _Q_SETQUOTA = 0x800007, 0x800008
_QIF_BLIMITS = 1
_FS_IOC_FSGETXATTR, _FS_IOC_FSSETXATTR = 0x801C581F, 0x401C5820
_FS_XFLAG_PROJINHERIT = 0x200
_FIRST_PROJECT = 0x0D0C0000
_ATTRIBUTES = struct.Struct("=IIIII8x")  # struct fsxattr
_LIMITS = struct.Struct("=QQQQQQQQI4x")  # struct if_dqblk; blocks are of 1024 bytes
_BLOCK_BYTES = 1024
_MISSING = frozenset(
    (errno.ENOSYS, errno.EINVAL, errno.ESRCH, errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOTBLK, errno.EPERM)
)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def limit(directory: Path, size_bytes: int, taken: Collection[int]) -> int:
    """Let `directory`, still empty, hold at most `size_bytes`; returns the project it is counted as, none of `taken`.

    Raises `Invalid` where the file system has no project quotas.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        project = _free_project(fd, taken, directory)
        blocks = -(-size_bytes // _BLOCK_BYTES)
        _set(fd, project, blocks, directory)
        try:
            raw = bytearray(_ATTRIBUTES.size)
            fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, raw)
            flags, extent, extents, _, cow = _ATTRIBUTES.unpack(raw)
            fcntl.ioctl(
                fd, _FS_IOC_FSSETXATTR, _ATTRIBUTES.pack(flags | _FS_XFLAG_PROJINHERIT, extent, extents, project, cow)
            )
        except OSError as error:
            _set(fd, project, 0, directory)
            raise _unsupported(directory) from error
        return project
    finally:
        os.close(fd)


def lift(near: Path, project: int) -> None:
    """Forget the limit of a project; `near` is any directory of the file system. Fine when there is none."""
    fd = os.open(near, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _set(fd, project, 0, near)
    finally:
        os.close(fd)


def _free_project(fd: int, taken: Collection[int], directory: Path) -> int:
    project = max(taken, default=_FIRST_PROJECT - 1)
    while True:
        project += 1
        limits = ctypes.create_string_buffer(_LIMITS.size)
        if _quotactl(fd, _Q_GETQUOTA, project, limits):
            if ctypes.get_errno() in (errno.ENOENT,):
                return project
            raise _unsupported(directory)
        if not any(_LIMITS.unpack(limits.raw)[:3]):
            return project


def _set(fd: int, project: int, blocks: int, directory: Path) -> None:
    limits = ctypes.create_string_buffer(_LIMITS.pack(blocks, blocks, 0, 0, 0, 0, 0, 0, _QIF_BLIMITS), _LIMITS.size)
    if _quotactl(fd, _Q_SETQUOTA, project, limits):
        code = ctypes.get_errno()
        if code in _MISSING:
            raise _unsupported(directory)
        raise HostFailure(f"setting the quota of {directory}: {os.strerror(code)}")


def _quotactl(fd: int, command: int, project: int, limits: ctypes.Array[ctypes.c_char]) -> int:
    return int(_libc.syscall(_QUOTACTL_FD, fd, ctypes.c_uint(command << 8 | _PRJQUOTA), ctypes.c_uint(project), limits))


def _unsupported(directory: Path) -> Invalid:
    return Invalid(
        "quota size requested but no quota support: "
        f"the file system of {directory.parent} has no project quotas (mount ext4 or XFS with prjquota)"
    )
