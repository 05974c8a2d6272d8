"""What the engine needs of the kernel and of its own privileges, looked at once when it opens; and its calls by ctypes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from dockwright.errors import DockwrightError, HostFailure, Unsupported

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_FS = 0x200
OLDEST = (5, 6)  # openat2(2); pidfd_open(2) is of 5.3


def require() -> None:
    """Raises `Unsupported`, naming the first thing that is missing. Blocking; may load the overlay module."""
    if os.geteuid() != 0:
        raise Unsupported("the engine needs root: start it with sudo")
    release = os.uname().release
    if version(release) < OLDEST:
        raise Unsupported(f"Linux {release} is too old: the engine needs 5.6 (openat2, pidfd_open)")
    if not _has_file_system("overlay"):
        raise Unsupported("the kernel has no overlayfs: the module overlay could not be loaded")


def checked(result: int, what: str) -> int:
    """What a system call by ctypes returned. Raises `HostFailure` where it failed, with the reason that errno says."""
    if result < 0:
        raise HostFailure(f"{what} failed: {os.strerror(ctypes.get_errno())}")
    return result


def apart(act: Callable[[], None], name: str) -> None:
    """Run `act` in a thread that has root, working directory and mount namespace for itself, and wait for its end. Blocking.

    Raises what `act` raises of ours and of the system's, `HostFailure`.
    """
    failure: list[BaseException] = []

    def run() -> None:
        try:
            checked(_libc.unshare(_CLONE_FS), "unshare of root and working directory")
            act()
        except (DockwrightError, OSError) as error:
            failure.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def version(release: str) -> tuple[int, int]:
    """`6.1.0-18-amd64` as (6, 1)."""
    major, minor = (release.split("-")[0].split(".") + ["0"])[:2]
    return int(major), int(minor)


def _has_file_system(name: str) -> bool:
    if _listed(name):
        return True
    try:
        subprocess.run(["modprobe", name], check=False, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return _listed(name)


def _listed(name: str) -> bool:
    return any(line.split()[-1] == name for line in Path("/proc/filesystems").read_text().splitlines())
