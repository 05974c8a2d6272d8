"""Making tars of directories: container exports, copies out of containers, layers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from dockwright.archive import tarformat as tar
from dockwright.archive.root import DEPTH_LIMIT, DIRECTORY, Root
from dockwright.archive.source import CHUNK
from dockwright.archive.tarformat import Entry
from dockwright.errors import Unsupported

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GATHER = 256 * 1024
_NOT_CARRIED = ("trusted.overlay.", "user.overlay.", "security.selinux", "security.ima", "security.evm")
_KINDS = {
    stat.S_IFREG: tar.REGULAR,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARACTER,
    stat.S_IFBLK: tar.BLOCK_DEVICE,
    stat.S_IFIFO: tar.FIFO,
}


class Packer:
    """Makes one tar of one tree. Blocking; nothing outside of the root is read, whatever changes meanwhile.

    Members are sorted by name, hard links are kept, sockets are left out, attributes go along.
    `subsecond` keeps the nanoseconds of times, at a kilobyte a file. Times after `latest_ns` become that.
    """

    def __init__(self, root: Root, *, subsecond: bool, latest_ns: int | None = None) -> None:
        self._root, self._subsecond, self._latest_ns = root, subsecond, latest_ns
        self._links: dict[tuple[int, int], bytes] = {}
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def tree(self, path: bytes, name: bytes) -> Iterator[bytes]:
        """What is at `path` (a link is packed as itself), its members named under `name`; with an empty `name` the members
        of the directory alone. Raises `OSError` when `path` is not there."""
        yield from self.members(path, name)
        yield from self.end()

    def members(self, path: bytes, name: bytes) -> Iterator[bytes]:
        """As `tree`, without the end of the archive: more may follow."""
        if not path.strip(b"/"):
            start = os.dup(self._root.fd)
        else:
            folder, base = self._root.parent(path.strip(b"/"))
            found = os.stat(base, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                yield from self._file(folder, base, name, found)
                return
            start = os.open(base, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        yield from self._walk(start, name)

    def directory(self, fd: int, name: bytes, found: os.stat_result) -> None:
        """The entry of a directory that is about to be walked."""
        if name:
            self.header(self.entry(_as_directory(name), found, fd))

    def special(self, folder: int, base: bytes, name: bytes, found: os.stat_result) -> None:
        """Anything that is neither directory nor regular file."""
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            return  # a socket: it means nothing without its process
        entry = self.entry(name, found, None)
        if kind == tar.SYMLINK:
            entry.target = os.readlink(base, dir_fd=folder)
        elif kind != tar.FIFO:
            entry.major, entry.minor = os.major(found.st_rdev), os.minor(found.st_rdev)
        self.header(entry)

    def entry(self, name: bytes, found: os.stat_result, fd: int | None) -> Entry:
        """What every kind of entry has in common."""
        return Entry(
            name,
            _KINDS[stat.S_IFMT(found.st_mode)],
            found.st_mode & 0o7777,
            found.st_uid,
            found.st_gid,
            mtime_ns=found.st_mtime_ns,
            xattrs=self.attributes(fd) if fd is not None else {},
        )

    def attributes(self, fd: int) -> dict[bytes, bytes]:
        """The extended attributes that go along."""
        try:
            names = os.listxattr(fd)
        except OSError:
            return {}  # a file system without attributes
        found = {}
        for name in names:
            if name.startswith(_NOT_CARRIED):
                continue
            try:
                found[os.fsencode(name)] = os.getxattr(fd, name)
            except OSError:
                continue  # removed meanwhile
        return found

    def header(self, entry: Entry) -> None:
        """Write the entry's header."""
        if self._latest_ns is not None:
            entry.mtime_ns = min(entry.mtime_ns, self._latest_ns)
        self._put(tar.encode(entry, subsecond=self._subsecond))

    def _walk(self, start: int, name: bytes) -> Iterator[bytes]:
        stack: list[tuple[int, bytes, Iterator[bytes]]] = []
        try:
            stack.append(self._enter(start, name))
            while stack:
                fd, prefix, names = stack[-1]
                base = next(names, None)
                if base is None:
                    os.close(stack.pop()[0])
                    continue
                full = prefix + base
                if self.passes(full):
                    continue
                try:
                    found = os.stat(base, dir_fd=fd, follow_symlinks=False)
                    if not self.wanted(full, found):
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        stack.append(self._descend(fd, base, full, len(stack)))
                    else:
                        yield from self._file(fd, base, full, found)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # removed or replaced meanwhile
                if self._pending_bytes >= _GATHER:
                    yield self._gathered()
        finally:
            for fd, _, _ in stack:
                os.close(fd)

    def _descend(self, folder: int, base: bytes, full: bytes, depth: int) -> tuple[int, bytes, Iterator[bytes]]:
        if depth > DEPTH_LIMIT:
            raise Unsupported(f"directories are nested deeper than {DEPTH_LIMIT}: {os.fsdecode(full[:80])}...")
        return self._enter(os.open(base, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder), full)

    def _enter(self, fd: int, name: bytes) -> tuple[int, bytes, Iterator[bytes]]:
        try:
            self.directory(fd, name, os.fstat(fd))
            return fd, _as_directory(name) if name else b"", iter(sorted(map(os.fsencode, os.listdir(fd))))
        except BaseException:
            os.close(fd)
            raise

    def _file(self, folder: int, base: bytes, name: bytes, found: os.stat_result) -> Iterable[bytes]:
        if found.st_nlink > 1:
            key = (found.st_dev, found.st_ino)
            if (first := self._links.get(key)) is not None:
                entry = self.entry(name, found, None)
                entry.kind, entry.target = tar.HARDLINK, first
                self.header(entry)
                return ()
            self._links[key] = name
        if not stat.S_ISREG(found.st_mode):
            self.special(folder, base, name, found)
            return ()
        fd = os.open(base, _OPEN, dir_fd=folder)
        large = False
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return ()
            entry = self.entry(name, found, fd)
            size = entry.size = found.st_size
            self.header(entry)
            if large := size > CHUNK:
                return self._large(fd, size)
            if size:
                data = os.read(fd, size)
                self.data(data if len(data) == size else data + self._rest(fd, size - len(data)))
                self.end_of_file(size)
            return ()
        finally:
            if not large:
                os.close(fd)

    def _large(self, fd: int, size: int) -> Iterator[bytes]:
        try:
            left = size
            while left:
                chunk = os.read(fd, min(left, CHUNK)) or self._rest(fd, min(left, CHUNK))
                left -= len(chunk)
                self.data(chunk)
                if self._pending_bytes >= _GATHER:
                    yield self._gathered()
            self.end_of_file(size)
        finally:
            os.close(fd)

    def _rest(self, fd: int, size: int) -> bytes:
        """The next `size` bytes of a file; one that shrinks is filled up with zeros, as the header has promised its size."""
        data = b""
        while len(data) < size:
            chunk = os.read(fd, size - len(data))
            if not chunk:
                self.shrunk()
                return data.ljust(size, b"\0")
            data += chunk
        return data

    def data(self, piece: bytes) -> None:
        """A piece of a file's content."""
        self._put(piece)

    def end_of_file(self, size: int) -> None:
        """The content of a file is complete; `size` is not zero."""
        if size % tar.BLOCK:
            self._put(tar.padding(size))

    def shrunk(self) -> None:
        """A file is shorter than it was."""

    def _put(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)

    def _gathered(self) -> bytes:
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        return data

    def passes(self, name: bytes) -> bool:
        """Whether the member `name` of a directory is a file that is not even looked at."""
        return False

    def wanted(self, name: bytes, found: os.stat_result) -> bool:
        """Whether the member `name` of a directory is packed, and what is below it."""
        return True

    def end(self) -> Iterator[bytes]:
        self._put(tar.END)
        yield self._gathered()


def pack_tree(root: Root, path: bytes = b"", name: bytes = b"", latest_ns: int | None = None) -> Iterator[bytes]:
    """A tar of what is at `path`, members named under `name`; whole seconds, as Docker gives them, `latest_ns` at most."""
    return Packer(root, subsecond=False, latest_ns=latest_ns).tree(path, name)


def _as_directory(name: bytes) -> bytes:
    return name if name.endswith(b"/") else name + b"/"
