"""A directory as the root of everything: paths are resolved inside it by the kernel, whatever links they meet.

openat2(2) with RESOLVE_IN_ROOT (Linux 5.6): `..` stops at the root, absolute symbolic links start there, and the magic
links of /proc are not followed. It works on a mounted snapshot and on `/proc/<pid>/root` of a running container alike.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections import OrderedDict
from pathlib import Path

from dockwright.errors import HostFailure, Invalid, NotFound, Unsupported

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_HOW = struct.Struct("=QQQ")
_TRIES = 32

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_CLOEXEC
_CACHED = 64


class Root:
    """An open directory that nothing leads out of. Blocking; close it, or use it in a `with`.

    Paths are bytes, with or without leading slash; the empty path is the root itself.
    """

    def __init__(self, where: Path | int) -> None:
        """Open `where`; a descriptor is duplicated and stays the caller's. Raises `NotFound`."""
        try:
            self.fd = os.dup(where) if isinstance(where, int) else os.open(where, DIRECTORY)
        except FileNotFoundError:
            raise NotFound(f"{where} does not exist") from None
        # Parents of what was asked for last: archives list a directory's members one after another.
        self._parents: OrderedDict[bytes, int] = OrderedDict()

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every descriptor. Safe to call twice."""
        self.forget()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def open(self, path: bytes, flags: int) -> int:
        """Open what `path` leads to inside the root. Raises `OSError` as open(2) does."""
        return open_in_root(self.fd, path, flags)

    def pin(self, path: bytes, *, follow: bool = True) -> int:
        """A descriptor (O_PATH) of what `path` names; of a link itself without `follow`."""
        return self.open(path, _PATH if follow else _PATH | os.O_NOFOLLOW)

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """The directory that holds `path`, open, and the last name.

        The descriptor is the root's: do not close it, and use it before the next-but-one call or `forget`.
        """
        folder, _, name = path.rpartition(b"/")
        return self.directory(folder), name

    def directory(self, path: bytes) -> int:
        """The directory `path`, open. The descriptor is the root's; do not close it."""
        if not path:
            return self.fd
        fd = self._parents.get(path)
        if fd is not None:
            self._parents.move_to_end(path)
            return fd
        fd = self.open(path, DIRECTORY)
        self._parents[path] = fd
        if len(self._parents) > _CACHED:
            os.close(self._parents.popitem(last=False)[1])
        return fd

    def forget(self) -> None:
        """Drop remembered directories: some name changed its meaning."""
        while self._parents:
            os.close(self._parents.popitem()[1])


def open_in_root(root: int, path: bytes, flags: int) -> int:
    """openat2(2) confined to the directory `root`. Raises `OSError`."""
    if b"\0" in path:
        raise Invalid(f"path {path!r} holds a NUL")
    how = _HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_TRIES):
        fd = int(_syscall(_OPENAT2, root, path or b".", how, _HOW.size))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        # EAGAIN: something was renamed while `..` was resolved, and the kernel could not tell that it stayed inside.
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    if code == errno.ENOSYS:
        raise Unsupported("the kernel has no openat2: Linux 5.6 is needed")
    raise OSError(code, os.strerror(code), os.fsdecode(path))


def failure(error: OSError, what: str) -> HostFailure:
    """An `OSError` of the file system as one of ours."""
    return HostFailure(f"{what}: {os.strerror(error.errno) if error.errno else error}")


DEPTH_LIMIT = 300


def remove_tree(folder: int, name: bytes, depth: int = 0, *, missing_ok: bool = False) -> None:
    """Remove `name` in the open directory `folder`, and all below it, following no links.

    Raises `OSError`; `Unsupported` when it is nested deeper than `DEPTH_LIMIT` (a descriptor is held on each level).
    """
    if depth > DEPTH_LIMIT:
        raise Unsupported(f"directories are nested deeper than {DEPTH_LIMIT}")
    try:
        os.unlink(name, dir_fd=folder)
        return
    except IsADirectoryError:
        pass
    except FileNotFoundError:
        if missing_ok:
            return
        raise
    fd = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        for child in os.listdir(fd):
            remove_tree(fd, os.fsencode(child), depth + 1)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=folder)
