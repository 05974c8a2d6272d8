"""Trees copied whole, and a directory's content exchanged for another without the directory itself: blocking.

What a container may write to is hostile, and may be written to meanwhile: nothing here follows a symbolic link in it.
Directories are held by descriptors, and what is copied is read and written through mounts that follow no links.

An exchange survives a kill at any instruction. Its steps are told apart by the name of one directory inside the root, which
holds a token that the caller keeps, so that nobody can have put it there before:

    .dockwright-<token>-staged      being filled: worth nothing yet
    .dockwright-<token>-leaving     complete; what the root holds moves into its `out`
    .dockwright-<token>-entering    the root is empty; what its `in` holds moves into the root
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dockwright import faults
from dockwright.errors import HostFailure

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_OPEN_TREE, _MOUNT_SETATTR = 428, 442
_AT_FDCWD, _AT_EMPTY_PATH, _OPEN_TREE_CLONE = -100, 0x1000, 1
_NO_SYMLINKS_FOLLOWED = 0x200000  # MOUNT_ATTR_NOSYMFOLLOW; mount_setattr(2) is of Linux 5.12
_MOUNT_ATTR = struct.Struct("=QQQQ")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Put = Callable[[int], None]
"""Fills the directory that a descriptor is of with an entry `in`: what the root shall hold."""


def copy_tree(source: Path, target: Path | int, what: str) -> None:
    """Copy the content of the directory `source`, and its owner, mode and times, to the directory `target`.

    Data is shared where the file system can (reflink) and copied else. Raises `HostFailure` naming `what`.
    """
    with _linkless(source) as from_fd, _linkless(target) as to_fd:
        # GNU cp keeps owners, modes, times, xattrs, holes and hard links.
        copied = subprocess.run(
            ["cp", "-a", "--reflink=auto", f"/proc/self/fd/{from_fd}/.", f"/proc/self/fd/{to_fd}"],
            pass_fds=(from_fd, to_fd),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    if copied.returncode:
        raise HostFailure(f"{what}: {copied.stderr.decode(errors='replace').strip()[:1000]}")


def move_or_copy(draft: Path, target: Path) -> None:
    """Move a directory of ours over an empty one, or copy it where that lies on another file system or is being used."""
    try:
        draft.rename(target)
    except OSError:
        copy_tree(draft, target, f"copying to {target}")


def putting(source: Path, what: str, *, move: bool = False) -> Put:
    """A `Put` with a copy of `source`, or with `source` itself where it may be moved and lies on the same file system."""

    def put(staged: int) -> None:
        if move:
            try:
                os.rename(source, "in", dst_dir_fd=staged)
                return
            except OSError:
                pass  # another file system
        os.mkdir("in", 0o755, dir_fd=staged)
        inside = os.open("in", _DIRECTORY, dir_fd=staged)
        try:
            copy_tree(source, inside, what)
        finally:
            os.close(inside)

    return put


def tree_size(root: Path) -> int:
    """Bytes on disk, as du counts them: hard links once. What vanishes meanwhile is not counted."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            try:
                status = os.lstat(os.path.join(directory, name))
            except OSError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    return total


def is_empty(root: Path) -> bool:
    """Whether a directory holds nothing but what a file system puts there itself."""
    return all(name == "lost+found" for name in os.listdir(root))


def exchange(root: Path, token: str, put: Put) -> None:
    """Have `put` stage what `root` shall hold, and put it in place of what it holds.

    `token` is fresh, 16 hex digits, and kept by the caller before: `finish` needs it after a kill.
    """
    with _held(root) as root_fd:
        os.mkdir(_staged(token), 0o700, dir_fd=root_fd)
        staged = os.open(_staged(token), _DIRECTORY, dir_fd=root_fd)
        try:
            faults.point("volume.replace")
            put(staged)
        finally:
            os.close(staged)
        faults.point("volume.exchange")
        os.rename(_staged(token), _leaving(token), src_dir_fd=root_fd, dst_dir_fd=root_fd)
    finish(root, token)


def finish(root: Path, token: str) -> None:
    """End an exchange that was begun, or forget one that was not complete. Fine when there is none."""
    with _held(root) as root_fd:
        if (leaving := _open(root_fd, _leaving(token))) is not None:
            try:
                _leave(root_fd, leaving, token)
            finally:
                os.close(leaving)
        if (entering := _open(root_fd, _entering(token))) is not None:
            try:
                _enter(root_fd, entering)
            finally:
                os.close(entering)
            shutil.rmtree(_entering(token), dir_fd=root_fd)
        if (staged := _open(root_fd, _staged(token))) is not None:
            os.close(staged)
            shutil.rmtree(_staged(token), dir_fd=root_fd)


def _leave(root_fd: int, leaving: int, token: str) -> None:
    try:
        os.mkdir("out", 0o700, dir_fd=leaving)
    except FileExistsError:
        pass  # a former try
    out = os.open("out", _DIRECTORY, dir_fd=leaving)
    try:
        for name in os.listdir(root_fd):
            if name != _leaving(token):
                os.rename(name, name, src_dir_fd=root_fd, dst_dir_fd=out)
                faults.point("volume.leaving")
    finally:
        os.close(out)
    os.rename(_leaving(token), _entering(token), src_dir_fd=root_fd, dst_dir_fd=root_fd)


def _enter(root_fd: int, entering: int) -> None:
    incoming = os.open("in", _DIRECTORY, dir_fd=entering)
    try:
        for name in os.listdir(incoming):
            os.rename(name, name, src_dir_fd=incoming, dst_dir_fd=root_fd)
            faults.point("volume.entering")
        _copy_attributes(incoming, root_fd)
    finally:
        os.close(incoming)


def _copy_attributes(source: int, target: int) -> None:
    status = os.fstat(source)
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source):
        os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _staged(token: str) -> str:
    return f".dockwright-{token}-staged"


def _leaving(token: str) -> str:
    return f".dockwright-{token}-leaving"


def _entering(token: str) -> str:
    return f".dockwright-{token}-entering"


def _open(root_fd: int, name: str) -> int | None:
    """A directory in the root; None where there is none, or something else of that name."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=root_fd)
    except OSError:
        return None


@contextmanager
def _held(root: Path) -> Iterator[int]:
    fd = os.open(root, _DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _linkless(where: Path | int) -> Iterator[int]:
    """A directory through a mount of its own that belongs nowhere and follows no symbolic links."""
    path, start = (b"", where) if isinstance(where, int) else (os.fsencode(where), _AT_FDCWD)
    tree = _libc.syscall(_OPEN_TREE, start, path, _OPEN_TREE_CLONE | os.O_CLOEXEC | (0 if path else _AT_EMPTY_PATH))
    if tree < 0:
        raise HostFailure(f"opening {where}: {os.strerror(ctypes.get_errno())}")
    try:
        wanted = _MOUNT_ATTR.pack(_NO_SYMLINKS_FOLLOWED, 0, 0, 0)
        if _libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, wanted, _MOUNT_ATTR.size) < 0:
            raise HostFailure(f"copying of volumes needs Linux 5.12 (mount_setattr): {os.strerror(ctypes.get_errno())}")
        yield tree
    finally:
        os.close(tree)
