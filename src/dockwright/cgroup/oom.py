"""Was a process of the container killed for want of memory? Counted by the kernel; told while it happens where it can be."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os

from dockwright import workers
from dockwright.cgroup.hierarchy import Cgroup
from dockwright.undo import shielded

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


async def killed(cgroup: Cgroup, *, seen: int = 0) -> int:
    """Wait until the kernel has killed more than `seen` processes of the cgroup; returns how many by then.

    v1: an eventfd registered in cgroup.event_control; v2: inotify on memory.events. Where neither works (the cgroup is
    gone, inotify used up) this waits for ever, and `kills` at the end still says. Cancel it when the container has ended.
    """
    opened: list[int] = []

    async def register() -> None:
        opened.append(await workers.quick(_register, cgroup))

    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        await shielded(register())
        loop.add_reader(opened[0], _drain, opened[0], signalled)
        count = await workers.quick(kills, cgroup)
        while count <= seen:
            await signalled.wait()
            signalled.clear()
            count = await _count_after_signal(cgroup, seen)
        return count
    finally:
        for fd in opened:
            loop.remove_reader(fd)
            os.close(fd)


async def _count_after_signal(cgroup: Cgroup, seen: int) -> int:
    """v1 signals before it kills, and when a cgroup is removed; v2's file counts more than kills: look for a while."""
    for _ in range(_LOOKS):
        count = await workers.quick(kills, cgroup)
        if count > seen:
            return count
        await asyncio.sleep(_LOOK_S)
    return seen


def _drain(fd: int, signalled: asyncio.Event) -> None:
    os.read(fd, 4096)
    signalled.set()


def _register(cgroup: Cgroup) -> int:
    """A descriptor that becomes readable; one that never does where the kernel does not tell."""
    try:
        return _inotify(cgroup) if cgroup.version == 2 else _eventfd(cgroup)
    except OSError as error:
        log.debug("memory events of %s: %s", cgroup.directories.get("memory"), error)
        return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def _eventfd(cgroup: Cgroup) -> int:
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    control, events = cgroup.file("memory", "memory.oom_control"), cgroup.file("memory", "cgroup.event_control")
    if control is None or events is None:
        return event
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
    fd = int(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    if path is not None and _libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY) < 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise OSError(number, os.strerror(number))
    return fd
