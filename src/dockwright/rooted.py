"""Small files and directories inside a root, and only there; see `archive.root` for how paths are confined."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dockwright.archive.root import open_in_root as _open_in_root


def open_in_root(root_fd: int, path: str, flags: int) -> int:
    """Open `path` below the directory `root_fd`. Raises `OSError` as open(2) does; the caller owns the descriptor."""
    return _open_in_root(root_fd, os.fsencode(path), flags)


def read_file(root: Path, path: str, limit_bytes: int = 1 << 20) -> bytes:
    """The first `limit_bytes` of a regular file below `root`; b"" when there is none."""
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    finally:
        os.close(root_fd)
    with os.fdopen(fd, "rb") as file:
        return file.read(limit_bytes) if stat.S_ISREG(os.fstat(fd).st_mode) else b""


def make_directories(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Create the directory `path` and what leads to it below `root_fd`, and return an O_PATH descriptor of it.

    Raises `NotADirectoryError` where something else is in the way.
    """
    current = os.dup(root_fd)
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
    return current
