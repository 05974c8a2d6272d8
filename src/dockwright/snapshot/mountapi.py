"""Mounting overlayfs: with the mount API of Linux 5.2 where overlayfs takes `lowerdir+` (6.7), else with mount(2).

The old call takes all options as one page of text, which 120 lower directories do not fit into unless they are short: it
is made in a thread of its own whose working directory is the directory of the layers, so that `12/fs` is enough.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dockwright.errors import HostFailure, Unsupported
from dockwright.kernel import apart, checked

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

# Numbers since Linux 5.2, the same on every architecture that has them.
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_SET_STRING, _CMD_CREATE = 1, 6
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY = 1
_AT_FDCWD = -100
_MS_RDONLY, _MS_REMOUNT, _MS_BIND = 1, 32, 4096
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8

# OVL_MAX_STACK in the kernel's fs/overlayfs; the old call takes one page of options besides.
LOWERS = 500
_PAGE = 4096

# Layers are read by our own diff, which looks at upper directories alone: nothing may point elsewhere. `nofollow`
# also keeps a redirect that an image smuggled in from being followed.
_OPTIONS = (("source", "overlay"), ("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"))

# fsconfig(2) takes strings of 256 bytes at most; overlayfs unescapes some of them.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+-]{1,240}")


class Plan(NamedTuple):
    """An overlay mount; paths are relative to the directory of the layers. `lowers` is topmost first."""

    lowers: Sequence[str]
    upper: str | None
    work: str | None


class OverlayMounts:
    """Mounts overlays whose layers are below one directory."""

    def __init__(self, layers: Path) -> None:
        self._layers = layers
        self._fd = os.open(layers, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        plain = _PLAIN_PATH.fullmatch(str(layers / "0000000000" / "work"))
        self._prefix = str(layers) if plain else f"/proc/self/fd/{self._fd}"
        self.mount: Callable[[Plan, Path, bool], None] = (
            self.mount_new if supports_lowerdir_plus() else self.mount_classic
        )

    def close(self) -> None:
        """Let go of the directory. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def mount_new(self, plan: Plan, target: Path, readonly: bool) -> None:
        """Mount with fsopen(2) and its family. Raises `HostFailure`; `Unsupported` for more layers than the kernel takes."""
        check_depth(len(plan.lowers))
        what = f"mount of the overlay at {target}"
        context = checked(_syscall(_FSOPEN, b"overlay", _FSOPEN_CLOEXEC), what)
        try:
            for lower in plan.lowers:
                self._set(context, "lowerdir+", f"{self._prefix}/{lower}", what)
            if plan.upper is not None and plan.work is not None:
                self._set(context, "upperdir", f"{self._prefix}/{plan.upper}", what)
                self._set(context, "workdir", f"{self._prefix}/{plan.work}", what)
            for key, value in _OPTIONS:
                self._set(context, key, value, what)
            if _syscall(_FSCONFIG, context, _CMD_CREATE, None, None, 0) < 0:
                raise HostFailure(f"{what} failed: {_reason(context)}")
            attributes = _MOUNT_ATTR_RDONLY if readonly else 0
            mount = checked(_syscall(_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes), what)
            try:
                checked(
                    _syscall(_MOVE_MOUNT, mount, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH), what
                )
            finally:
                os.close(mount)
        finally:
            os.close(context)

    def mount_classic(self, plan: Plan, target: Path, readonly: bool) -> None:
        """Mount with mount(2). Raises `HostFailure`; `Unsupported` for more layers than the kernel takes."""
        check_depth(len(plan.lowers))
        options = ["lowerdir=" + ":".join(plan.lowers)]
        if plan.upper is not None:
            options += [f"upperdir={plan.upper}", f"workdir={plan.work}"]
        options += [f"{key}={value}" for key, value in _OPTIONS if key != "source"]
        data = ",".join(options).encode()
        if len(data) >= _PAGE:
            raise Unsupported(
                f"{len(plan.lowers)} layers are too many for this kernel's mount(2), which takes {_PAGE} bytes of options, not"
                f" {len(data)}: Linux 6.7 or later takes {LOWERS} layers"
            )
        absolute = target.absolute()
        what = f"mount of the overlay at {target}"

        def act() -> None:
            os.fchdir(self._fd)
            checked(_libc.mount(b"overlay", os.fsencode(absolute), b"overlay", 0, data), what)
            if readonly:
                flags = _MS_REMOUNT | _MS_BIND | _MS_RDONLY
                checked(_libc.mount(None, os.fsencode(absolute), None, flags, None), what)

        apart(act, "classic mount")

    def _set(self, context: int, key: str, value: str, what: str) -> None:
        if _syscall(_FSCONFIG, context, _SET_STRING, key.encode(), os.fsencode(value), 0) < 0:
            raise HostFailure(f"{what}: {key}={value} failed: {_reason(context)}")


def check_depth(lowers: int) -> None:
    """Raises `Unsupported` for more lower directories than overlayfs takes."""
    if lowers > LOWERS:
        raise Unsupported(f"{lowers} layers are too many to be mounted: overlayfs takes {LOWERS}")


def unmount(target: Path) -> None:
    """Detach what is mounted at `target`; nothing when nothing is. Raises `HostFailure`."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) < 0:
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOENT):
            raise HostFailure(f"unmount of {target} failed: {os.strerror(code)}")


def supports_lowerdir_plus() -> bool:
    """Whether the kernel's overlayfs takes its lower directories one by one."""
    context = _syscall(_FSOPEN, b"overlay", _FSOPEN_CLOEXEC)
    if context < 0:
        return False
    try:
        return bool(_syscall(_FSCONFIG, context, _SET_STRING, b"lowerdir+", b"/", 0) == 0)
    finally:
        os.close(context)


def sync_file_system(path: Path) -> None:
    """Write everything of the file system that holds `path` to the disk: syncfs(2)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        checked(_libc.syncfs(fd), f"sync of {path}")
    finally:
        os.close(fd)


def _reason(context: int) -> str:
    """The error number, and what the kernel wrote about it to the context's log."""
    reason = os.strerror(ctypes.get_errno())
    try:
        return f"{reason} ({os.read(context, 4096).decode(errors='replace').strip()})"
    except OSError:
        return reason
