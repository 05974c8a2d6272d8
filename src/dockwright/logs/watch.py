"""One inotify instance for all spools of a daemon: a host allows only 128 of them to a user.

Watches are one-shot: a container that writes a thousand times wakes the loop once, and again only after its spool was read.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

from dockwright.errors import HostFailure

_IN_MODIFY, _IN_ONESHOT, _IN_MASK_CREATE = 0x2, 0x80000000, 0x10000000
_IN_NONBLOCK, _IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Watcher:
    """Calls back, once, when a file is written to. For one event loop."""

    def __init__(self) -> None:
        """Raises `HostFailure` when the user's inotify instances are used up (fs.inotify.max_user_instances)."""
        self._fd = _libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        if self._fd < 0:
            raise HostFailure(f"inotify: {os.strerror(ctypes.get_errno()).lower()}")
        self._callbacks: dict[int, Callable[[], None]] = {}
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def once(self, path: Path, callback: Callable[[], None]) -> int:
        """Call `callback` at the next write to `path`, which exists. Returns a handle for `forget`.

        Raises `FileNotFoundError`, and `HostFailure` when the user's watches are used up.
        """
        handle = _libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(_IN_MODIFY | _IN_ONESHOT))
        if handle < 0:
            number = ctypes.get_errno()
            if not path.exists():
                raise FileNotFoundError(number, os.strerror(number), str(path))
            raise HostFailure(f"inotify: {path}: {os.strerror(number).lower()}")
        self._callbacks[handle] = callback
        return int(handle)

    def forget(self, handle: int) -> None:
        """Do not call back any more; a handle that has is no error."""
        if self._callbacks.pop(handle, None) is not None:
            _libc.inotify_rm_watch(self._fd, handle)

    def close(self) -> None:
        """Safe to call twice."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._callbacks.clear()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset + _EVENT.size <= len(data):
            handle, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size + length
            if mask & _IN_MODIFY and (callback := self._callbacks.pop(handle, None)) is not None:
                callback()
