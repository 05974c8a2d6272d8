"""Two trees side by side: what is in one alone, and what both have but differently.

Trees that stand on the same layers differ at most where the layers above those say something: `touched` reads that out of
the upper directories, and `compare` then looks nowhere else. Times are not compared: two builds of the same thing differ in
them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from dockwright.errors import Unsupported
from dockwright.snapshot.changes import DEPTH_LIMIT, is_opaque
from dockwright.snapshot.snapshotter import ChangeKind

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 256 * 1024

# Names below a directory; None stands for the name itself and all below it.
Touched: TypeAlias = "dict[str, Touched | None]"


class TreeChange(NamedTuple):
    """One path that differs. Sizes are bytes of regular files, else 0; `what` says how a path that both trees have differs:
    `type`, `mode`, `owner`, `size`, `content`, `target`, `device`, `attributes`."""

    kind: ChangeKind
    path: str
    size_before: int
    size_after: int
    what: tuple[str, ...] = ()


def touched(uppers: Sequence[Path]) -> Touched:
    """Every name that one of these upper directories says something about. Raises `Unsupported` for bottomless ones."""
    found: Touched = {}
    for upper in uppers:
        fd = os.open(upper, _OPEN_DIRECTORY)
        try:
            _touch(fd, found, 0)
        finally:
            os.close(fd)
    return found


def compare(before: Path, after: Path, where: Touched | None = None) -> list[TreeChange]:
    """What has to be done to `before` to have `after`, directories before what is in them, else sorted by path; only names
    in `where` when it is given. No link is followed. Raises `Unsupported` for bottomless trees."""
    found: list[TreeChange] = []
    fds = os.open(before, _OPEN_DIRECTORY), os.open(after, _OPEN_DIRECTORY)
    try:
        roots = os.fstat(fds[0]), os.fstat(fds[1])
        if what := _metadata(roots[0], roots[1]):
            found.append(TreeChange(ChangeKind.MODIFIED, "/", 0, 0, tuple(what)))
        _compare(_Pair(*fds), "", where, found)
    finally:
        os.close(fds[0])
        os.close(fds[1])
    return found


class _Pair(NamedTuple):
    """The same directory in both trees, open; None where one of them does not have it."""

    before: int | None
    after: int | None


def _touch(fd: int, into: Touched, depth: int) -> None:
    _check_depth(depth)
    with os.scandir(fd) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                into[entry.name] = None
                continue
            below = into.setdefault(entry.name, {})
            if below is None:
                continue
            child = os.open(entry.name, _OPEN_DIRECTORY, dir_fd=fd)
            try:
                if is_opaque(child):
                    into[entry.name] = None
                else:
                    _touch(child, below, depth + 1)
            finally:
                os.close(child)


def _compare(pair: _Pair, path: str, where: Touched | None, found: list[TreeChange], depth: int = 0) -> None:
    _check_depth(depth)
    names = {name for fd in pair if fd is not None for name in os.listdir(fd)}
    if where is not None:
        names &= where.keys()
    for name in sorted(names):
        old, new = _stat(pair.before, name), _stat(pair.after, name)
        inside = f"{path}/{name}"
        if old is not None and new is not None:
            assert pair.before is not None
            assert pair.after is not None
            what = _differences(pair.before, pair.after, name, old, new)
            if what:
                found.append(TreeChange(ChangeKind.MODIFIED, inside, _size(old), _size(new), tuple(what)))
        elif new is not None:
            found.append(TreeChange(ChangeKind.ADDED, inside, 0, _size(new)))
        elif old is not None:
            found.append(TreeChange(ChangeKind.DELETED, inside, _size(old), 0))
        both = _is_directory(old) and _is_directory(new)
        _descend(pair, name, old, new, (inside, where[name] if both and where is not None else None, depth), found)


def _descend(
    pair: _Pair,
    name: str,
    old: os.stat_result | None,
    new: os.stat_result | None,
    place: tuple[str, Touched | None, int],
    found: list[TreeChange],
) -> None:
    inside, where, depth = place
    opened: list[int | None] = [None, None]
    try:
        for side, (fd, entry) in enumerate(zip(pair, (old, new), strict=True)):
            if fd is not None and _is_directory(entry):
                opened[side] = os.open(name, _OPEN_DIRECTORY, dir_fd=fd)
        if opened != [None, None]:
            _compare(_Pair(*opened), inside, where, found, depth + 1)
    finally:
        for child in opened:
            if child is not None:
                os.close(child)


def _differences(before: int, after: int, name: str, old: os.stat_result, new: os.stat_result) -> list[str]:
    if stat.S_IFMT(old.st_mode) != stat.S_IFMT(new.st_mode):
        return ["type"]
    what = _metadata(old, new)
    if stat.S_ISREG(new.st_mode):
        # Two overlays whose layers are on one file system show a lower file under the number it has there.
        if (old.st_ino, old.st_size, old.st_mtime_ns) == (new.st_ino, new.st_size, new.st_mtime_ns):
            return what
        if old.st_size != new.st_size:
            what.append("size")
        elif not _same_content(before, after, name):
            what.append("content")
    elif stat.S_ISLNK(new.st_mode):
        if os.readlink(name, dir_fd=before) != os.readlink(name, dir_fd=after):
            what.append("target")
    elif not stat.S_ISDIR(new.st_mode) and old.st_rdev != new.st_rdev:
        what.append("device")
    if _attributes(before, name) != _attributes(after, name):
        what.append("attributes")
    return what


def _metadata(old: os.stat_result, new: os.stat_result) -> list[str]:
    what = []
    if old.st_mode != new.st_mode:
        what.append("mode")
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        what.append("owner")
    return what


def _same_content(before: int, after: int, name: str) -> bool:
    with (
        os.fdopen(os.open(name, _OPEN_FILE, dir_fd=before), "rb", buffering=0) as old,
        os.fdopen(os.open(name, _OPEN_FILE, dir_fd=after), "rb", buffering=0) as new,
    ):
        while chunk := old.read(_CHUNK):
            if chunk != new.read(_CHUNK):
                return False
        return True


def _attributes(fd: int, name: str) -> dict[str, bytes]:
    path = f"/proc/self/fd/{fd}/{name}"
    found = os.listxattr(path, follow_symlinks=False)
    return {key: os.getxattr(path, key, follow_symlinks=False) for key in found}


def _stat(fd: int | None, name: str) -> os.stat_result | None:
    if fd is None:
        return None
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_directory(entry: os.stat_result | None) -> bool:
    return entry is not None and stat.S_ISDIR(entry.st_mode)


def _size(entry: os.stat_result) -> int:
    return entry.st_size if stat.S_ISREG(entry.st_mode) else 0


def _check_depth(depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise Unsupported(f"directories are nested deeper than {DEPTH_LIMIT}")
