"""Was a process of the container killed for want of memory? Counted by the kernel; told while it happens where it can be."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable

from dockwright.cgroup.hierarchy import Cgroup

log = logging.getLogger(__name__)

_IN_MODIFY = 0x2
#: How often and in which steps the count is looked at after a signal.
_LOOKS, _LOOK_S = 50, 0.02
_libc = ctypes.CDLL(None, use_errno=True)


def kills(cgroup: Cgroup) -> int:
    """How many processes of the cgroup the kernel's OOM killer has ended; 0 when the cgroup is gone. Blocking, one read.

    v1: `oom_kill` of memory.oom_control (kernel 4.13); v2: `oom_kill` of memory.events, cgroups below included.
    """
    text = cgroup.read("memory", "memory.events" if cgroup.version == 2 else "memory.oom_control")
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == "oom_kill":
            return int(value)
    return 0


class Watch:
    """Calls `told` in the event loop, once, when the kernel has killed a process of the cgroup.

    v1: an eventfd registered in cgroup.event_control; v2: inotify on memory.events. Where neither works (the cgroup is
    gone, inotify used up) nothing is told, and `kills` at the end still says.
    """

    def __init__(self, cgroup: Cgroup, told: Callable[[], None]) -> None:
        self._cgroup = cgroup
        self._told = told
        self._fd = -1
        try:
            self._fd = _inotify(cgroup) if cgroup.version == 2 else _eventfd(cgroup)
        except OSError as error:
            log.debug("memory events of %s: %s", cgroup.directories.get("memory"), error)
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._woken)

    def close(self) -> None:
        """Watch no more. Safe to call twice."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _woken(self) -> None:
        os.read(self._fd, 4096)
        self._look(_LOOKS)

    def _look(self, left: int) -> None:
        """v1 signals before it kills, and when a cgroup is removed; v2's file counts more than kills: look what it was."""
        if self._fd < 0:
            return
        if kills(self._cgroup):
            self.close()
            self._told()
        elif left:
            asyncio.get_running_loop().call_later(_LOOK_S, self._look, left - 1)


def _eventfd(cgroup: Cgroup) -> int:
    control, events = cgroup.file("memory", "memory.oom_control"), cgroup.file("memory", "cgroup.event_control")
    if control is None or events is None:
        return -1
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        target = os.open(control, os.O_RDONLY | os.O_CLOEXEC)
        try:
            events.write_text(f"{event} {target}")
        finally:
            os.close(target)
    except OSError:
        os.close(event)
        raise
    return event


def _inotify(cgroup: Cgroup) -> int:
    path = cgroup.file("memory", "memory.events")
    if path is None:
        return -1
    fd = int(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if fd < 0 or _libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY) < 0:
        number = ctypes.get_errno()
        if fd >= 0:
            os.close(fd)
        raise OSError(number, os.strerror(number))
    return fd
