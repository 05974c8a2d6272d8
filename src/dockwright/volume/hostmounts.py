"""mount(2) for volumes with mount options, and what is mounted where."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path

from dockwright.errors import HostFailure, Invalid
from dockwright.volume.options import MountPlan, hidden

_MS_RDONLY, _MS_REMOUNT, _MS_BIND = 1, 32, 4096
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
# What a remount of a bind may set: the first mount(2) of a bind looks at no other flag.
_OF_A_MOUNT = 1 | 2 | 4 | 8 | 1024 | 2048 | 1 << 21 | 1 << 24
_NETWORKED = ("nfs", "nfs4", "cifs")
_libc = ctypes.CDLL(None, use_errno=True)


def mount(plan: MountPlan, target: Path) -> None:
    """Mount what `plan` says at `target`. Blocking; host names are resolved. Raises `Invalid` with the kernel's reason."""
    if plan.flags & _MS_BIND and not os.path.exists(plan.device):
        raise _failed(plan, target, "no such file or directory")
    data = _with_address(plan, target)
    _call(plan, target, plan.device, plan.type, plan.flags, data)
    try:
        if plan.flags & _MS_BIND and plan.flags & _OF_A_MOUNT:
            _call(plan, target, "", "", plan.flags & (_OF_A_MOUNT | _MS_BIND) | _MS_REMOUNT, "")
        if plan.propagation:
            _call(plan, target, "", "", plan.propagation, "")
    except Invalid:
        unmount(target)
        raise


def unmount(target: Path) -> None:
    """Detach what is mounted at `target`; fine when nothing is."""
    while mounted(target):
        if _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW):
            raise HostFailure(f"unmounting {target}: {os.strerror(ctypes.get_errno())}")


def mounted(target: Path) -> bool:
    """Whether something is mounted at `target`."""
    return os.fsencode(target) in _targets()


def mounted_below(directory: Path) -> list[str]:
    """What is mounted below `directory`, itself not counted."""
    prefix = os.fsencode(directory) + b"/"
    return [os.fsdecode(target) for target in _targets() if target.startswith(prefix)]


def _targets() -> list[bytes]:
    with open("/proc/self/mountinfo", "rb") as table:
        return [line.split(b" ")[4].decode("unicode_escape").encode("latin-1") for line in table]


def _with_address(plan: MountPlan, target: Path) -> str:
    """The data with `addr=` as a number: the kernel resolves no names."""
    words = plan.data.split(",")
    if plan.type not in _NETWORKED:
        return plan.data
    for place, word in enumerate(words):
        if word.startswith("addr="):
            try:
                found = socket.getaddrinfo(word.removeprefix("addr="), None, proto=socket.IPPROTO_TCP)
            except OSError as error:
                raise _failed(plan, target, f"error resolving passed in network volume address: {error}") from error
            words[place] = f"addr={found[0][4][0]}"
    return ",".join(words)


def _call(plan: MountPlan, target: Path, device: str, kind: str, flags: int, data: str) -> None:
    if _libc.mount(os.fsencode(device), os.fsencode(target), os.fsencode(kind), flags, os.fsencode(data)):
        raise _failed(plan, target, os.strerror(ctypes.get_errno()).lower())


def _failed(plan: MountPlan, target: Path, reason: str) -> Invalid:
    more = f", data: {hidden(plan.data)}" if plan.data else ""
    flags = f", flags: {plan.flags:#x}" if plan.flags else ""
    return Invalid(f"failed to mount local volume: mount {plan.device}:{target}{flags}{more}: {reason}")
