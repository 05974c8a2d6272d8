"""What of a directory is told: in the order of the protocol, without what a filter leaves out.

Order: a directory's entries by name, byte for byte, each directory followed by what is in it.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.archive.root import DEPTH_LIMIT, DIRECTORY, Root
from dockwright.buildkit.filesync import modes
from dockwright.buildkit.filesync.headers import Wanted
from dockwright.buildkit.proto.fsutil_pb2 import Stat
from dockwright.errors import Invalid, Unsupported
from dockwright.ignoring import Patterns, has_wildcard, match, parse

_LINKS_LIMIT = 255


class Filter:
    """What of a directory is meant: paths that a line of `include` names (all, without one) and no line of `exclude`."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        """Raises `Invalid` for a line that is no pattern."""
        self._include = [pattern for text in include if (pattern := parse(text)) is not None]
        self._included = Patterns(self._include) if self._include else None
        self._excluded = Patterns([pattern for text in exclude if (pattern := parse(text)) is not None])

    @classmethod
    def of(cls, root: Root, wanted: Wanted) -> Filter:
        """What `wanted` means in the directory `root`: links that are to be followed are looked up. Blocking."""
        include = list(wanted.include)
        if wanted.follow:
            followed = _followed(root, wanted.follow)
            if "." in followed:
                return cls((), wanted.exclude)  # all of it
            include += sorted(followed)
        return cls(include, wanted.exclude)

    def takes(self, path: str) -> bool:
        """Whether `path` is meant."""
        return (self._included is None or self._included.matches(path)) and not self._excluded.matches(path)

    def may_take_below(self, path: str) -> bool:
        """Whether something in the directory `path` may be meant."""
        if self._excluded.matches(path) and not self._excluded.may_hold_exceptions(path):
            return False
        return self._included is None or self._included.matches(path) or self._leads_to_included(path + "/")

    def _leads_to_included(self, below: str) -> bool:
        for pattern in self._include:
            head = re.split(r"[*?\[\\]", pattern.text, maxsplit=1)[0]
            if not pattern.negated and (below.startswith(head) or (head + "/").startswith(below)):
                return True
        return False


@dataclass
class Walk:
    """One walk through a directory. Blocking; closed by the end of the `entries`."""

    root: Path
    filter: Filter
    # Of files with several names: (device, inode) and the name that was told.
    _linked: dict[tuple[int, int], str] = field(default_factory=dict)

    def entries(self) -> Iterator[Stat]:
        """What is told. Entries that go away meanwhile are left out. Raises `OSError`, `Unsupported` when nested too deep."""
        fd = os.open(self.root, DIRECTORY)
        try:
            yield from self._entries(fd, "", [])
        finally:
            os.close(fd)

    def _entries(self, folder: int, prefix: str, waiting: list[Stat]) -> Iterator[Stat]:
        """`waiting` are the directories above that are told only if something in them is."""
        if prefix.count("/") > DEPTH_LIMIT:
            raise Unsupported(f"directories are nested deeper than {DEPTH_LIMIT}")
        for name in sorted(os.listdir(folder), key=os.fsencode):
            path = prefix + name
            taken = self.filter.takes(path)
            if not taken and not self.filter.may_take_below(path):
                continue
            try:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            is_directory = stat.S_ISDIR(found.st_mode)
            if taken:
                told = self._told(folder, name, path, found)
                if told is None:
                    continue
                yield from waiting
                waiting.clear()
                yield told
            if is_directory and self.filter.may_take_below(path):
                below = waiting if taken else [*waiting, self._plain(path, found)]
                yield from self._descend(folder, name, path, below)
                if not below:
                    waiting.clear()

    def _descend(self, folder: int, name: str, path: str, waiting: list[Stat]) -> Iterator[Stat]:
        try:
            fd = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except FileNotFoundError:
            return
        try:
            yield from self._entries(fd, path + "/", waiting)
        finally:
            os.close(fd)

    def _told(self, folder: int, name: str, path: str, found: os.stat_result) -> Stat | None:
        told = self._plain(path, found)
        if not stat.S_ISDIR(found.st_mode):
            told.size = found.st_size
        if stat.S_ISLNK(found.st_mode):
            try:
                told.linkname = os.fsencode(os.readlink(name, dir_fd=folder)).decode("utf-8", "replace")
            except OSError:
                return None  # it went away
        elif stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            first = self._linked.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                told.linkname, told.size = first, 0
        elif stat.S_ISBLK(found.st_mode) or stat.S_ISCHR(found.st_mode):
            told.devmajor, told.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
        elif stat.S_ISSOCK(found.st_mode):
            return None  # it means nothing elsewhere
        return told

    def _plain(self, path: str, found: os.stat_result) -> Stat:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise Invalid(f"the name {path!r} is no UTF-8, which the transfer of files needs") from None
        mode = modes.to_go(found.st_mode)
        return Stat(path=path, mode=mode, uid=found.st_uid, gid=found.st_gid, modTime=found.st_mtime_ns)


def _followed(root: Root, paths: Iterable[str]) -> set[str]:
    """The paths themselves, and what symbolic links on their way lead to, as paths inside the root."""
    found: set[str] = set()
    left = [_clean(path) for path in paths]
    steps = 0
    while left and steps < _LINKS_LIMIT * 64:
        steps += 1
        path = left.pop()
        walked: list[str] = []
        parts = path.split("/")
        for position, part in enumerate(parts):
            walked.append(part)
            here = "/".join(walked)
            targets = _targets(root, here)
            if targets:
                if here not in found:
                    found.add(here)
                    rest = parts[position + 1 :]
                    left += [_clean(posixpath.join(target, *rest)) for target in targets]
                break
        else:
            found.add(path)
    return found


def _targets(root: Root, path: str) -> list[str]:
    """What the links lead to that `path`, whose last part may be a wildcard, names."""
    folder, _, last = path.rpartition("/")
    if not has_wildcard(last):
        target = _target(root, path)
        return [target] if target else []
    try:
        names = os.listdir(root.directory(os.fsencode(folder)))
    except OSError:
        return []
    inside = [posixpath.join(folder, name) for name in sorted(names) if match(last, name)]
    return [target for one in inside if (target := _target(root, one))]


def _target(root: Root, path: str) -> str:
    folder, _, last = path.rpartition("/")
    try:
        link = os.readlink(last, dir_fd=root.directory(os.fsencode(folder)))
    except (OSError, ValueError):
        return ""
    return link if link.startswith("/") else posixpath.join("/", folder, link)


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path).strip("/") or "."
