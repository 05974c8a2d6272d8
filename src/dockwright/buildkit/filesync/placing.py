"""What a transfer does to the receiver's directory. Everything here is blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from dockwright.archive.root import Root, failure, remove_tree
from dockwright.buildkit.filesync import modes
from dockwright.buildkit.proto.fsutil_pb2 import Stat
from dockwright.errors import Invalid

_XATTRS = ("user.", "security.capability")


class Placer:
    """Makes `folder/fs` equal to a list of entries. Use once: `arrange`, `write`, `finish`, and `close` in any case."""

    def __init__(self, folder: Path, owner: tuple[int, int] | None) -> None:
        self._owner = owner
        self._incoming = folder / "incoming"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            (folder / "fs").mkdir(exist_ok=True)
            for left in self._incoming.iterdir():
                left.unlink()
        except OSError as error:
            raise failure(error, str(folder)) from error
        self._root = Root(folder / "fs")
        self._open: dict[int, int] = {}
        self._wanted: dict[int, Stat] = {}
        self._links: list[Stat] = []
        self._folders: list[Stat] = []
        # What files take up on the disk; another name of one takes nothing.
        self.disk_bytes = 0

    def close(self) -> None:
        """Close every descriptor, and remove what came of files that did not come whole. Safe to call twice."""
        while self._open:
            number, fd = self._open.popitem()
            os.close(fd)
            (self._incoming / str(number)).unlink(missing_ok=True)
        self._root.close()

    def arrange(self, entries: list[Stat]) -> list[int]:
        """Remove what is not told, make what needs no content; the numbers of those that need it. Raises `HostFailure`."""
        children: dict[str, list[tuple[int, Stat]]] = {"": []}
        for number, entry in enumerate(entries):
            if modes.is_directory(entry.mode):
                children[entry.path] = []
                self._folders.append(entry)
            children[entry.path.rpartition("/")[0]].append((number, entry))
        for folder, told in children.items():  # parents come first
            try:
                self._arrange(folder, told)
            except OSError as error:
                raise failure(error, f"the context's directory {folder or '.'}") from error
        return list(self._wanted)

    def _arrange(self, folder: str, told: list[tuple[int, Stat]]) -> None:
        fd = self._root.directory(os.fsencode(folder))
        with os.scandir(fd) as scan:
            here = {entry.name: entry.stat(follow_symlinks=False) for entry in scan}
        names = {entry.path.rpartition("/")[2] for _, entry in told}
        for name in here.keys() - names:
            self._remove(fd, name)
        for number, entry in told:
            name = entry.path.rpartition("/")[2]
            found = here.get(name)
            if found is not None and self._is_equal(fd, name, entry, found):
                if not stat.S_ISDIR(found.st_mode):
                    self.disk_bytes += found.st_blocks * 512
                continue
            if found is not None and not (modes.is_directory(entry.mode) and stat.S_ISDIR(found.st_mode)):
                self._remove(fd, name)
                found = None
            self._make(fd, name, number, entry, found is not None)

    def _remove(self, folder: int, name: str) -> None:
        remove_tree(folder, os.fsencode(name))

    def _is_equal(self, folder: int, name: str, entry: Stat, found: os.stat_result) -> bool:
        if modes.to_go(found.st_mode) != entry.mode or (found.st_uid, found.st_gid) != self._owner_of(entry):
            return False
        if modes.is_directory(entry.mode):
            return True
        if modes.is_symlink(entry.mode):
            return os.readlink(name, dir_fd=folder) == entry.linkname
        if not modes.is_regular(entry.mode) or entry.linkname or found.st_nlink > 1:
            return False
        return found.st_size == entry.size and found.st_mtime_ns == entry.modTime

    def _owner_of(self, entry: Stat) -> tuple[int, int]:
        return self._owner or (entry.uid, entry.gid)

    def _make(self, folder: int, name: str, number: int, entry: Stat, is_there: bool) -> None:
        if modes.is_regular(entry.mode):
            if entry.linkname:
                self._links.append(entry)
            else:
                self._wanted[number] = entry
            return
        if modes.is_directory(entry.mode):
            if not is_there:
                os.mkdir(name, dir_fd=folder)
        elif modes.is_symlink(entry.mode):
            os.symlink(entry.linkname, name, dir_fd=folder)
        else:
            kind = modes.kind(entry.mode)
            if not kind or kind == stat.S_IFSOCK:
                raise Invalid(f"{entry.path} is of a kind that cannot be sent")
            os.mknod(name, kind | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=folder)
        self._dress(folder, name, entry)

    def _dress(self, folder: int, name: str, entry: Stat) -> None:
        os.chown(name, *self._owner_of(entry), dir_fd=folder, follow_symlinks=False)
        if not modes.is_symlink(entry.mode):
            os.chmod(name, modes.permissions(entry.mode), dir_fd=folder)
        os.utime(name, ns=(entry.modTime, entry.modTime), dir_fd=folder, follow_symlinks=False)

    def write(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Content as it comes: of an entry, by its number; nothing at its end. Raises `HostFailure`, and `Invalid` for a number
        that was not asked for.
        """
        for number, data in pieces:
            entry = self._wanted.get(number)
            if entry is None:
                raise Invalid("the sender of files sends content that nobody asked for")
            try:
                self._write(number, entry, data)
            except OSError as error:
                raise failure(error, f"the context's file {entry.path}") from error

    def _write(self, number: int, entry: Stat, data: bytes) -> None:
        temporary = self._incoming / str(number)
        fd = self._open.get(number)
        if fd is None:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._open[number] = fd
        if data:
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left) :]
            return
        os.fchown(fd, *self._owner_of(entry))
        os.fchmod(fd, modes.permissions(entry.mode))
        for name, value in entry.xattrs.items():
            if name.startswith(_XATTRS):
                os.setxattr(fd, name, value)
        os.utime(fd, ns=(entry.modTime, entry.modTime))
        self.disk_bytes += os.fstat(fd).st_blocks * 512
        os.close(self._open.pop(number))
        del self._wanted[number]
        folder, last = self._root.parent(os.fsencode(entry.path))
        os.rename(temporary, last, dst_dir_fd=folder)

    def finish(self) -> None:
        """Once all content is there: further names of files, and the times of directories. Raises `HostFailure`."""
        try:
            for entry in self._links:
                there = self._root.pin(os.fsencode(entry.linkname), follow=False)
                try:
                    folder, name = self._root.parent(os.fsencode(entry.path))
                    os.link(f"/proc/self/fd/{there}", name, dst_dir_fd=folder, follow_symlinks=True)
                finally:
                    os.close(there)
            for entry in reversed(self._folders):
                folder, name = self._root.parent(os.fsencode(entry.path))
                os.utime(name, ns=(entry.modTime, entry.modTime), dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            raise failure(error, "the context's directory") from error
