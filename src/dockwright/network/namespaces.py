"""Network namespaces with a name: made, entered and let go.

A namespace lives as long as its handle, a bind mount of `/proc/<tid>/ns/net` on an empty file under `exec_root/netns`, or
a process or descriptor in it. Namespaces are entered in one thread that does nothing else and always names the namespace
it wants first, so a job that fails half-way leaves no other work in the wrong namespace.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from dockwright.errors import HostFailure

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_PRIVATE, _MS_REC = 4096, 1 << 18, 16384
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


class Namespaces:
    """The handles of one daemon under `folder`, and the thread that enters them. Not for use from two event loops."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="netns")
        self._host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._local = threading.local()

    def close(self) -> None:
        """End the thread; handles stay. Safe to call twice."""
        self._thread.shutdown(wait=True)
        if self._host >= 0:
            os.close(self._host)
            self._host = -1

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the namespace thread; it enters namespaces with `enter_host`, `enter` and `create`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def create(self) -> str:
        """Make a namespace and its handle, stay in it, and return its name: 12 hex digits, as in Docker's sandbox keys."""
        name = secrets.token_hex(6)
        path = self.path(name)
        path.touch(mode=0o444)
        _check(_libc.unshare(_CLONE_NEWNET), "create a network namespace")
        tid = threading.get_native_id()
        # The handle is bound from the caller's own entry: "thread-self" would be resolved by whoever mounts, the same thread.
        _check(
            _libc.mount(f"/proc/self/task/{tid}/ns/net".encode(), os.fsencode(path), None, _MS_BIND, None),
            f"bind {path}",
        )
        return name

    def enter(self, name: str) -> None:
        """Move this thread into the namespace `name`. Raises `HostFailure` when its handle is no namespace."""
        try:
            fd = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise HostFailure(f"network namespace {self.path(name)}: {error.strerror}") from error
        try:
            entered = _libc.setns(fd, _CLONE_NEWNET)
            if entered and ctypes.get_errno() == errno.EINVAL:  # the handle is the file below, no more
                raise HostFailure(f"network namespace {self.path(name)} is gone")
            _check(entered, f"enter {self.path(name)}")
        finally:
            os.close(fd)

    def enter_host(self) -> None:
        """Move this thread into the namespace the daemon started in."""
        _check(_libc.setns(self._host, _CLONE_NEWNET), "enter the host's network namespace")

    def remove(self, name: str) -> None:
        """Let go of a namespace: the kernel destroys it, in its own time, once nobody is in it. Safe to call twice.

        Any thread may call this; it takes under 0.1 ms.
        """
        path = os.fsencode(self.path(name))
        while _libc.umount2(path, _MNT_DETACH) == 0:
            pass
        self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Where the handle of `name` is."""
        return self.folder / name

    def names(self) -> set[str]:
        """Every handle there is, also one whose namespace was never bound."""
        return {entry.name for entry in os.scandir(self.folder)}

    def alive(self, name: str) -> bool:
        """Whether the handle holds a namespace (and is not just the file below)."""
        try:
            return os.stat(self.path(name)).st_dev != os.stat(self.folder).st_dev
        except FileNotFoundError:
            return False


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise HostFailure(f"{what}: {os.strerror(number).lower()}")
