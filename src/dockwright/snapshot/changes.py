"""What a layer changes: its upper directory read against the directories below it (kernel documentation, overlayfs.rst).

Only the upper directory is walked, by directory descriptors, as a running container may change it meanwhile; the lower
directories never change. Which paths count as changed follows Docker: a directory by its mode and owner or because of
what is in it, anything else by mode, owner, device number, size and time too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dockwright.errors import Unsupported
from dockwright.snapshot.snapshotter import Change, ChangeKind, Usage

# A container may nest directories without end; a descriptor is held on each level.
DEPTH_LIMIT = 300

OPAQUE = "trusted.overlay.opaque"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_whiteout(found: os.stat_result) -> bool:
    """Whether this is overlayfs' mark for a deleted name: a character device 0/0."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(directory: int | str) -> bool:
    """Whether this directory hides what lies below it."""
    try:
        return os.getxattr(directory, OPAQUE) == b"y"
    except OSError:
        return False


def changes(upper: Path, lowers: Sequence[Path]) -> list[Change]:
    """How `upper` changes what `lowers` (topmost first) show together, sorted by path."""
    found: list[Change] = []
    fd = os.open(upper, _OPEN_DIRECTORY)
    try:
        _compare(fd, "", [str(lower) for lower in lowers], found)
    finally:
        os.close(fd)
    return sorted(found, key=lambda change: change.path)


def usage(upper: Path) -> Usage:
    """Allocated bytes and inodes below and with `upper`; hard links counted once, as `du` does."""
    blocks, seen = 0, set[int]()
    pending = [os.open(upper, _OPEN_DIRECTORY)]
    try:
        while pending:
            fd = pending.pop()
            try:
                blocks += _weigh(fd, pending, seen)
            finally:
                os.close(fd)
    finally:
        for fd in pending:
            os.close(fd)
    return Usage(blocks * 512, len(seen))


def _weigh(fd: int, pending: list[int], seen: set[int]) -> int:
    here = os.fstat(fd)
    seen.add(here.st_ino)
    blocks = here.st_blocks
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(os.open(entry.name, _OPEN_DIRECTORY, dir_fd=fd))
                    continue
                found = entry.stat(follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue  # removed or replaced meanwhile
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                blocks += found.st_blocks
    return blocks


@dataclass(frozen=True)
class _Below:
    """What the layers below show under a name: the topmost entry and, for a directory, all that merge into it."""

    entry: os.stat_result
    directories: list[str]


def _compare(fd: int, path: str, lowers: list[str], found: list[Change]) -> bool:
    """Append the changes in the directory `fd`, known inside as `path`; whether there are any."""
    if path.count("/") > DEPTH_LIMIT:
        raise Unsupported(f"directories are nested deeper than {DEPTH_LIMIT}: {path[:80]}...")
    before = len(found)
    here = set()
    with os.scandir(fd) as entries:
        for entry in entries:
            here.add(entry.name)
            _compare_entry(fd, path, entry, lowers, found)
    if path and is_opaque(fd):
        # The name was deleted and made anew: what was below and is not here was deleted with it.
        for name in {name for lower in lowers for name in os.listdir(lower)} - here:
            if _below(name, lowers):
                found.append(Change(ChangeKind.DELETED, f"{path}/{name}"))
    return len(found) > before


def _compare_entry(fd: int, path: str, entry: os.DirEntry[str], lowers: list[str], found: list[Change]) -> None:
    try:
        now = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    inside = f"{path}/{entry.name}"
    below = _below(entry.name, lowers)
    if is_whiteout(now):
        if below is not None:
            found.append(Change(ChangeKind.DELETED, inside))
        return
    changed_within = stat.S_ISDIR(now.st_mode) and _descend(fd, entry.name, inside, below, found)
    if below is None:
        found.append(Change(ChangeKind.ADDED, inside))
    elif changed_within or _differs(now, below.entry):
        found.append(Change(ChangeKind.MODIFIED, inside))


def _descend(fd: int, name: str, inside: str, below: _Below | None, found: list[Change]) -> bool:
    try:
        child = os.open(name, _OPEN_DIRECTORY, dir_fd=fd)
    except OSError:
        return False  # replaced or removed meanwhile
    try:
        return _compare(child, inside, below.directories if below else [], found)
    finally:
        os.close(child)


def _below(name: str, lowers: list[str]) -> _Below | None:
    top: os.stat_result | None = None
    directories: list[str] = []
    for lower in lowers:
        path = f"{lower}/{name}"
        try:
            entry = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if is_whiteout(entry):
            break
        top = top or entry
        if not stat.S_ISDIR(entry.st_mode):
            break
        directories.append(path)
        if is_opaque(path):
            break
    return _Below(top, directories) if top is not None else None


def _differs(now: os.stat_result, before: os.stat_result) -> bool:
    if (now.st_mode, now.st_uid, now.st_gid, now.st_rdev) != (
        before.st_mode,
        before.st_uid,
        before.st_gid,
        before.st_rdev,
    ):
        return True
    if stat.S_ISDIR(now.st_mode):
        return False
    return (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns)
