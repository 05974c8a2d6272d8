"""Looking into results of builds: what clients' build functions read of them."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockwright.archive import Root
from dockwright.build.solving.selecting import inside_of
from dockwright.buildkit.filesync import modes
from dockwright.buildkit.proto.fsutil_pb2 import Stat
from dockwright.errors import Invalid, NotFound
from dockwright.ignoring import match

# What one message holds, with room for the rest of it.
READ_LIMIT_BYTES = 15 * 1024 * 1024


def read_file(root: Path, path: str, offset: int, length: int) -> bytes:
    """The content of a file, `length` bytes of it from `offset`, 0 for all. Blocking. Raises `NotFound`, `Invalid`."""
    with _translated(path), Root(root) as opened:
        fd = opened.open(inside_of(path), os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Invalid(f"{path} is no regular file")
        with os.fdopen(fd, "rb") as file:
            file.seek(offset)
            content = file.read(min(length or READ_LIMIT_BYTES + 1, READ_LIMIT_BYTES + 1))
    if len(content) > READ_LIMIT_BYTES:
        raise Invalid(f"{path} is longer than {READ_LIMIT_BYTES} bytes: read it in pieces")
    return content


def read_directory(root: Path, path: str, pattern: str) -> list[Stat]:
    """What is in a directory, by name; with a `pattern`, the names that match it. Blocking. Raises `NotFound`, `Invalid`."""
    with _translated(path), Root(root) as opened:
        folder = opened.directory(inside_of(path))
        names = sorted(name for name in os.listdir(folder) if not pattern or match(pattern, name))
        return [_stat(folder, name) for name in names]


def stat_file(root: Path, path: str) -> Stat:
    """What is at a path, links followed. Blocking. Raises `NotFound`."""
    with _translated(path), Root(root) as opened:
        fd = opened.pin(inside_of(path))
        try:
            return _told(os.fstat(fd), posixpath.basename(posixpath.normpath(path)))
        finally:
            os.close(fd)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{path}: {error.strerror}") from None
    except (OSError, ValueError) as error:
        raise Invalid(f"{path}: {error}") from None


def _stat(folder: int, name: str) -> Stat:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else ""
    return _told(found, name, link)


def _told(found: os.stat_result, name: str, link: str = "") -> Stat:
    return Stat(
        path=os.fsencode(name).decode("utf-8", "replace"),
        mode=modes.to_go(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size,
        modTime=found.st_mtime_ns,
        linkname=link,
        devmajor=os.major(found.st_rdev),
        devminor=os.minor(found.st_rdev),
    )
