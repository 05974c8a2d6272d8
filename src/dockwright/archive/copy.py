"""Files into and out of a container's tree: what the Engine API's `/containers/{id}/archive` does.

`where` is the root of the tree: a directory (a mounted snapshot) or an open descriptor of one (`/proc/<pid>/root`, so that
the container's mounts are seen). Paths are the container's, and never lead out of it.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from dockwright import workers
from dockwright.archive import bridge
from dockwright.archive.pack import pack_tree
from dockwright.archive.root import DIRECTORY, Root
from dockwright.archive.source import Source, decompressed
from dockwright.archive.unpack import Options, Unpacker
from dockwright.errors import HostFailure, Invalid, NotFound

_LINKS = 40  # as many as the kernel follows


class PathStat(NamedTuple):
    """What `X-Docker-Container-Path-Stat` tells. `mode` is a Go `os.FileMode`; `link_target` is resolved inside the tree."""

    name: str
    size_bytes: int
    mode: int
    mtime_ns: int
    link_target: str


async def stat_path(where: Path | int, path: str) -> PathStat:
    """What is at `path`; of a link, the link itself. Raises `NotFound`."""
    return await workers.quick(_stat, where, path)


async def read(where: Path | int, path: str) -> AsyncGenerator[bytes, None]:
    """A tar of what is at `path`, its entries named after the base name; a link is packed as a link unless `path` ends in
    a slash or `/.`. Raises `NotFound` on the first step."""
    with await workers.quick(Root, where) as root:
        place, name = await workers.quick(_to_pack, root, path)
        async with aclosing(bridge.produce(lambda: pack_tree(root, place, name))) as chunks:
            async for chunk in chunks:
                yield chunk


async def export(where: Path | int, latest_ns: int | None = None) -> AsyncGenerator[bytes, None]:
    """A tar of the whole tree; times after `latest_ns` become that."""
    with await workers.quick(Root, where) as root:
        async with aclosing(bridge.produce(lambda: pack_tree(root, latest_ns=latest_ns))) as chunks:
            async for chunk in chunks:
                yield chunk


async def write(
    where: Path | int,
    path: str,
    stream: AsyncIterable[bytes],
    *,
    no_overwrite_dir_non_dir: bool = False,
    owner: tuple[int, int] | None = None,
) -> None:
    """Unpack the tar `stream` (plain, gzip, bzip2, xz or zstd) into the directory `path`.

    `owner` (uid, gid) replaces the entries' owners. Raises `NotFound` when `path` is not there, `Invalid` when it is no
    directory or the archive is bad; what was unpacked before that stays. A cancelled call stops at its next read.
    """
    below = b"/".join(os.fsencode(part) for part in _parts(path))

    def work(source: Source) -> None:
        with Root(where) as root:
            _require_directory(root, below, path)
            options = Options(owner, no_overwrite_dir_non_dir, below)
            Unpacker(root, decompressed(source), options).run()

    await bridge.consume(stream, work)


def go_mode(mode: int) -> int:
    """A `st_mode` as the bits of Go's `os.FileMode`."""
    kinds = {
        stat.S_IFDIR: 1 << 31,
        stat.S_IFLNK: 1 << 27,
        stat.S_IFBLK: 1 << 26,
        stat.S_IFCHR: 1 << 26 | 1 << 21,
        stat.S_IFIFO: 1 << 25,
        stat.S_IFSOCK: 1 << 24,
    }
    special = (stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20)
    return (mode & 0o777) | kinds.get(stat.S_IFMT(mode), 0) | sum(bit for flag, bit in special if mode & flag)


def _stat(where: Path | int, path: str) -> PathStat:
    with Root(where) as root:
        inside = _clean(root, path)
        follow = path.endswith(("/", "/."))
        found = _pinned(root, inside, path, follow=follow)
        target = ""
        if stat.S_ISLNK(found.st_mode):
            target = _resolve_link(root, inside)
        return PathStat(_base(path), found.st_size, go_mode(found.st_mode), found.st_mtime_ns, target)


def _to_pack(root: Root, path: str) -> tuple[bytes, bytes]:
    """Where to pack and under which name."""
    inside = _clean(root, path)
    follow = path.endswith(("/", "/."))
    found = _pinned(root, inside, path, follow=follow)
    name = os.fsencode(_base(path))
    if follow and stat.S_ISDIR(found.st_mode) and inside:
        inside = real_path(root, inside)
    return inside, name


def _base(path: str) -> str:
    """The last name of `path`, as Go's `filepath.Base` has it: the docker CLI renames entries that begin so."""
    if path.endswith("/.") or path == ".":
        return "."
    return posixpath.basename(path.rstrip("/")) or "/"


def _clean(root: Root, path: str) -> bytes:
    """`path` relative to the root, dots resolved as text, as Docker does before it looks at links."""
    if "\0" in path:
        raise Invalid("the path holds a NUL")
    return b"/".join(os.fsencode(part) for part in _parts(path))


def _parts(path: str) -> list[str]:
    return [part for part in posixpath.normpath("/" + path).split("/") if part]


def _pinned(root: Root, inside: bytes, path: str, *, follow: bool) -> os.stat_result:
    try:
        fd = root.pin(inside, follow=follow)
    except OSError as error:
        raise _not_there(error, path) from error
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    if path.endswith(("/", "/.")) and not stat.S_ISDIR(found.st_mode):
        raise Invalid(f"{path}: not a directory")
    return found


def _resolve_link(root: Root, inside: bytes) -> str:
    """Where the link leads, as a path inside the tree; what it says when it leads nowhere."""
    here = inside
    for _ in range(_LINKS):
        folder, name = root.parent(here)
        try:
            target = os.readlink(name, dir_fd=folder)
        except OSError:
            break
        above = os.fsdecode(here.rpartition(b"/")[0])
        joined = posixpath.normpath(posixpath.join("/", above, os.fsdecode(target)))
        here = os.fsencode(joined.strip("/"))
        try:
            root.parent(here)
        except OSError:
            break
    return "/" + os.fsdecode(here)


def real_path(root: Root, inside: bytes) -> bytes:
    """Where the path `inside` leads inside the root, when its last name is a link."""
    return os.fsencode(_resolve_link(root, inside).strip("/"))


def _require_directory(root: Root, below: bytes, path: str) -> None:
    try:
        os.close(root.open(below, DIRECTORY))
    except NotADirectoryError:
        raise Invalid("extraction point is not a directory") from None
    except OSError as error:
        raise _not_there(error, path) from error


def _not_there(error: OSError, path: str) -> Exception:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
        return NotFound(f"Could not find the file {path}")
    return HostFailure(f"{path}: {error.strerror}")
