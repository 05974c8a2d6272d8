"""Opening paths inside a root directory, and only there: openat2(2) with RESOLVE_IN_ROOT (Linux 5.6).

Symbolic links, absolute ones and `..` included, are followed as if the root were `/`: nothing of an image or a container can
make the engine touch a file outside.
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root_fd: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """Open `path` below the directory `root_fd`. Raises `OSError` as open(2) does; the caller owns the descriptor."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    raw = os.fsencode(path) or b"."
    while True:
        fd = _libc.syscall(_SYS_OPENAT2, root_fd, raw, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return int(fd)
        number = ctypes.get_errno()
        if number not in (4, 11):  # EINTR; EAGAIN: a rename raced with `..`
            raise OSError(number, os.strerror(number), os.fsdecode(raw))


def read_file(root: Path, path: str, limit_bytes: int = 1 << 20) -> bytes:
    """The first `limit_bytes` of a regular file below `root`; b"" when there is none."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        try:
            fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return b""
    finally:
        os.close(root_fd)
    with os.fdopen(fd, "rb") as file:
        return file.read(limit_bytes) if stat.S_ISREG(os.fstat(fd).st_mode) else b""


def make_directories(root: Path, path: str, mode: int = 0o755) -> int:
    """Create the directory `path` and what leads to it below `root`, and return an O_PATH descriptor of it.

    Raises `NotADirectoryError` where something else is in the way.
    """
    current = os.open(root, os.O_PATH | os.O_DIRECTORY)
    root_fd = os.dup(current)
    walked = ""
    try:
        for part in (part for part in path.split("/") if part not in ("", ".", "..")):
            walked += "/" + part
            try:
                following = open_in_root(root_fd, walked, os.O_PATH | os.O_DIRECTORY)
            except FileNotFoundError:
                os.mkdir(part, mode, dir_fd=current)
                following = open_in_root(root_fd, walked, os.O_PATH | os.O_DIRECTORY)
            os.close(current)
            current = following
    except BaseException:
        os.close(current)
        raise
    finally:
        os.close(root_fd)
    return current
