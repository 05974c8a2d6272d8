"""Mount points that a step's runtime makes where the image has none: they are no part of what the step changed.

Looked at before the command runs, and taken away after it, when they are as empty as they were made.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dockwright.archive import Root
from dockwright.archive.root import DIRECTORY


@dataclass(frozen=True)
class _Above:
    """A directory that gets a mount point made in it, as it was."""

    path: bytes
    names: frozenset[str]
    mtime_ns: int


@dataclass(frozen=True)
class Stubs:
    """What was not there before, the deepest first, and the directories around it."""

    missing: tuple[bytes, ...]
    above: tuple[_Above, ...]


def look(rootfs: Path, targets: Iterable[str]) -> Stubs:
    """Which of the mount points `targets` will have to be made in the tree at `rootfs`. Blocking."""
    missing: dict[bytes, None] = {}
    above: dict[bytes, _Above] = {}
    with Root(rootfs) as root:
        for target in targets:
            parts = [os.fsencode(part) for part in posixpath.normpath("/" + target).split("/") if part]
            for count in range(1, len(parts) + 1):
                path = b"/".join(parts[:count])
                if path in missing or _exists(root, path):
                    continue
                missing[path] = None
                folder = b"/".join(parts[: count - 1])
                if folder not in missing and folder not in above:
                    above[folder] = _seen(root, folder)
    return Stubs(tuple(sorted(missing, key=lambda path: -path.count(b"/"))), tuple(above.values()))


def clear(rootfs: Path, stubs: Stubs) -> None:
    """Take away what was made and is still empty. Blocking."""
    with Root(rootfs) as root:
        for path in stubs.missing:
            _remove_empty(root, path)
        root.forget()
        for one in stubs.above:
            try:
                now = _seen(root, one.path)
            except OSError:
                continue  # the command has removed it
            if now.names == one.names and now.mtime_ns != one.mtime_ns:
                fd = root.open(one.path, DIRECTORY)
                try:
                    os.utime(fd, ns=(one.mtime_ns, one.mtime_ns))
                finally:
                    os.close(fd)


def _exists(root: Root, path: bytes) -> bool:
    try:
        os.close(root.pin(path))
    except OSError:
        return False
    return True


def _seen(root: Root, path: bytes) -> _Above:
    fd = root.open(path, DIRECTORY)
    try:
        return _Above(path, frozenset(os.listdir(fd)), os.fstat(fd).st_mtime_ns)
    finally:
        os.close(fd)


def _remove_empty(root: Root, path: bytes) -> None:
    try:
        folder, name = root.parent(path)
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            os.rmdir(name, dir_fd=folder)
        elif stat.S_ISREG(found.st_mode) and not found.st_size:
            os.unlink(name, dir_fd=folder)
    except OSError:
        pass  # the command keeps something in it, or has taken it away itself
