"""Unpacking a tar into a `Root`. Nothing of it reaches outside: see `root.py` for how paths are kept in.

`Unpacker` is the common part, `layers.py` adds what image layers mean by whiteouts.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dockwright.archive import tarformat as tar
from dockwright.archive.creating import LIMIT_BYTES, Creating, Small
from dockwright.archive.reader import TarReader
from dockwright.archive.root import DIRECTORY, Root, remove_tree
from dockwright.archive.source import Source
from dockwright.archive.tarformat import Entry
from dockwright.errors import HostFailure, Invalid

ENTRY_LIMIT = 5_000_000
NAME_LIMIT = 4096
# As many links as the kernel follows on the way to a file.
_LINKS = 40

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Runs of zeros are left out of a file, looked for in steps of this: images of disks stay sparse, and bombs small. What is left
# of a piece that came from elsewhere in odd sizes counts from a block on.
_HOLE = 64 * 1024
_BLOCK = 4096
_ZEROS = bytes(_HOLE)
# overlayfs keeps its own bookkeeping in these: an archive has no business there.
_RESERVED = (b"trusted.overlay.", b"user.overlay.")
# What the caller sent cannot be put there; anything else (no space, I/O error) is the host's failure.
_CALLERS_FAULT = frozenset(
    {errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EPERM}
)


@dataclass(frozen=True)
class Options:
    """How to unpack. `owner` overrides the owner of every entry; `keep_kind` refuses to replace a directory by something
    else and the other way round; `below` is the directory, inside the root, that names are relative to."""

    owner: tuple[int, int] | None = None
    keep_kind: bool = False
    below: bytes = b""


class Unpacker:
    """Unpacks one archive. Blocking, once."""

    def __init__(
        self, root: Root, source: Source, options: Options, record: Callable[[bytes], object] | None = None
    ) -> None:
        self.root = root
        self.reader = TarReader(source, record)
        self._options = options
        self._prefix = options.below.strip(b"/")
        self._hops = _LINKS
        self._creating = Creating(self._create)
        # A directory's time is set last: making its members would change it.
        self.times: dict[bytes, int] = {}
        self._make: dict[bytes, Callable[[int, bytes, Entry, bytes], None]] = {
            tar.REGULAR: self.make_file,
            tar.DIRECTORY: self.make_directory,
            tar.SYMLINK: self._make_symlink,
            tar.HARDLINK: self._make_hardlink,
            tar.CHARACTER: self._make_device,
            tar.BLOCK_DEVICE: self._make_device,
            tar.FIFO: self._make_device,
        }

    def run(self) -> None:
        """Unpack everything. Raises `Invalid` or `Corrupt` for what is wrong with the archive, `HostFailure` for the host."""
        try:
            for count, entry in enumerate(self.reader.entries()):
                if count >= ENTRY_LIMIT:
                    raise Invalid(f"archive with more than {ENTRY_LIMIT} entries")
                path = tar.checked_name(entry.name)
                if len(path) > NAME_LIMIT:
                    raise Invalid(
                        f"tar entry {path[:60].decode(errors='replace')!r}... has a name of {len(path)} bytes"
                    )
                try:
                    self.place(path, entry)
                except OSError as error:
                    raise translated(error, path) from error
            self.settle()
        finally:
            self._creating.close()
        self._set_times()

    def settle(self) -> None:
        """Wait until every file so far is there. Whoever changes names that files may have calls it before."""
        for small in self._creating.settle():
            try:
                folder, name = self.parent(small.full)
                self.displace(folder, name, small.entry, small.full)
                self._create(self.parent(small.full)[0], small)
            except OSError as error:
                raise translated(error, small.full) from error

    def place(self, path: bytes, entry: Entry) -> None:
        """Make one entry at `path`, relative to the archive's root (`b""`)."""
        make = self._make.get(entry.kind)
        if make is None:
            raise Invalid(f"tar entry {path!r} has the unknown type {entry.kind!r}")
        if not path:
            if entry.kind == tar.DIRECTORY:
                self.root_entry(entry)
            return
        full = self.inside(path)
        if entry.kind == tar.HARDLINK or self._creating.concerns(full):
            self.settle()
        folder, name = self.parent(full)
        try:
            make(folder, name, entry, full)
        except FileExistsError:
            self.settle()
            folder, name = self.parent(full)
            self.displace(folder, name, entry, full)
            make(*self.parent(full), entry, full)

    def inside(self, path: bytes) -> bytes:
        """`path` of the archive as a path inside the root."""
        return self._prefix + b"/" + path if self._prefix else path

    def parent(self, full: bytes) -> tuple[int, bytes]:
        """The directory for `full`, made when it is missing, and the last name."""
        try:
            return self.root.parent(full)
        except FileNotFoundError:
            self.make_parents(full.rpartition(b"/")[0])
            return self.root.parent(full)

    def root_entry(self, entry: Entry) -> None:
        """The archive speaks of its own root. The directory that is unpacked into stays as it is."""

    def implied(self, full: bytes) -> None:
        """The directory `full` was made although the archive did not say so."""

    def dangling(self, full: bytes) -> None:
        """A directory is needed where there is a link to nowhere."""
        raise Invalid(f"tar entry below {os.fsdecode(full)!r}, which is a link to nowhere")

    def make_where_it_leads(self, full: bytes) -> None:
        """Make the directory that the link `full` names, inside the root."""
        if self._hops == 0:
            raise Invalid(f"too many links on the way to {os.fsdecode(full)!r}")
        self._hops -= 1
        folder, name = self.root.parent(full)
        target = os.fsencode(os.readlink(name, dir_fd=folder))
        above = b"" if target.startswith(b"/") else full.rpartition(b"/")[0]
        self.make_parents(os.path.normpath(b"/" + above + b"/" + target).strip(b"/"))
        self._hops += 1

    def displace(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        """Make room for `entry` where something exists already."""
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        is_directory = stat.S_ISDIR(there.st_mode)
        if self._options.keep_kind and is_directory != (entry.kind == tar.DIRECTORY):
            kinds = ("directory", "non-directory") if is_directory else ("non-directory", "directory")
            raise Invalid(f'cannot overwrite {kinds[0]} "/{os.fsdecode(full)}" with {kinds[1]} "/{os.fsdecode(full)}"')
        remove_tree(folder, name)
        if not stat.S_ISREG(there.st_mode):
            self.root.forget()  # remembered directories may have been reached through it

    def make_directory(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        """A directory; one that exists gets the entry's mode, owner, attributes and time."""
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise
        fd = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        try:
            self.adorn(fd, entry)
        finally:
            os.close(fd)
        self.times[full] = entry.mtime_ns

    def make_file(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        """A regular file with its content; a small one is there by the next `settle`."""
        if entry.sparse is None and entry.size <= LIMIT_BYTES:
            content = b"".join(self.reader.data())
            self._creating.add(folder, Small(name, entry, full, content))
            return
        fd = os.open(name, _CREATE, 0o600, dir_fd=folder)
        try:
            if entry.sparse is not None:
                self._fill_sparse(fd, entry)
            else:
                _fill(fd, entry.size, self.reader.data())
            self._finish(fd, entry)
        finally:
            os.close(fd)

    def _create(self, folder: int, small: Small) -> None:
        """Raises `FileExistsError`, and what `run` does."""
        try:
            fd = os.open(small.name, _CREATE, 0o600, dir_fd=folder)
            try:
                if small.content:
                    _fill(fd, len(small.content), [memoryview(small.content)])
                self._finish(fd, small.entry)
            finally:
                os.close(fd)
        except FileExistsError:
            raise
        except OSError as error:
            raise translated(error, small.full) from error

    def _finish(self, fd: int, entry: Entry) -> None:
        self.adorn(fd, entry)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))

    def adorn(self, fd: int, entry: Entry) -> None:
        """Owner, then mode (changing the owner clears setuid), then attributes (changing the owner clears capabilities)."""
        uid, gid = self._options.owner or (entry.uid, entry.gid)
        os.fchown(fd, uid, gid)
        os.fchmod(fd, entry.mode)
        if entry.xattrs:
            _set_attributes(fd, entry)

    def _make_symlink(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        os.symlink(entry.target, name, dir_fd=folder)
        uid, gid = self._options.owner or (entry.uid, entry.gid)
        os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
        if entry.xattrs:
            _set_attributes(b"/proc/self/fd/%d/%s" % (folder, name), entry)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)

    def _make_hardlink(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        target = tar.checked_name(entry.target)
        if not target:
            raise Invalid(f"tar entry {full!r} is a hard link to nothing")
        target_full = self.inside(target)
        if target_full == full:
            return
        try:
            other, other_name = self.root.parent(target_full)
            os.link(other_name, name, src_dir_fd=other, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            self.missing_target(full, target_full)

    def missing_target(self, full: bytes, target: bytes) -> None:
        """A hard link names a file that is not there."""
        raise Invalid(f"tar entry {os.fsdecode(full)!r} is a hard link to {os.fsdecode(target)!r}, which is not there")

    def _make_device(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        kind = {tar.CHARACTER: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}[entry.kind]
        try:
            number = os.makedev(entry.major, entry.minor)
        except OverflowError:
            raise Invalid(f"tar entry {full!r} has an impossible device number") from None
        os.mknod(name, 0o600 | kind, number, dir_fd=folder)
        fd = os.open(name, _PIN, dir_fd=folder)
        try:
            if stat.S_IFMT(os.fstat(fd).st_mode) != kind:
                raise HostFailure(f"/{os.fsdecode(full)} was replaced while it was made")
            # By way of /proc, as a descriptor that does not open the device cannot be changed itself.
            path = b"/proc/self/fd/%d" % fd
            uid, gid = self._options.owner or (entry.uid, entry.gid)
            os.chown(path, uid, gid)
            os.chmod(path, entry.mode)
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def make_parents(self, path: bytes) -> None:
        """Make the directory `path` and those above it."""
        parts = path.split(b"/")
        for count in range(1, len(parts) + 1):
            full = b"/".join(parts[:count])
            try:
                self.root.directory(full)
            except FileNotFoundError:
                folder, name = self.root.parent(full)
                try:
                    os.mkdir(name, 0o755, dir_fd=folder)
                except FileExistsError:
                    self.dangling(full)
                    continue
                fd = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                try:
                    os.fchmod(fd, 0o755)
                    if self._options.owner:
                        os.fchown(fd, *self._options.owner)
                finally:
                    os.close(fd)
                self.implied(full)

    def _fill_sparse(self, fd: int, entry: Entry) -> None:
        os.ftruncate(fd, entry.real_size)
        spans = iter(entry.sparse or ())
        offset, left = next(spans, (0, 0))
        for piece in self.reader.data():
            while len(piece):
                while not left:
                    offset, left = next(spans, (0, -1))
                    if left < 0:
                        return  # padding after the last span
                taken = min(left, len(piece))
                os.lseek(fd, offset, os.SEEK_SET)
                _write(fd, piece[:taken])
                piece, offset, left = piece[taken:], offset + taken, left - taken

    def _set_times(self) -> None:
        for full, mtime_ns in reversed(self.times.items()):
            try:
                if not full:
                    os.utime(self.root.fd, ns=(mtime_ns, mtime_ns))
                    continue
                folder, name = self.root.parent(full)
                os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=folder, follow_symlinks=False)
            except OSError:
                pass  # a later entry, or somebody in the container, replaced it: there is no directory to date


def _fill(fd: int, size: int, pieces: Iterable[memoryview]) -> None:
    hole = False
    for piece in pieces:
        while len(piece) >= _BLOCK and piece[:16] == _ZEROS[:16]:
            part, piece = piece[:_HOLE], piece[_HOLE:]
            if bytes(part) == _ZEROS[: len(part)]:
                os.lseek(fd, len(part), os.SEEK_CUR)
                hole = True
            else:
                _write(fd, part)
        _write(fd, piece)
    if hole:
        os.ftruncate(fd, size)


def _set_attributes(where: int | bytes, entry: Entry) -> None:
    for key, value in entry.xattrs.items():
        if key.startswith(_RESERVED):
            continue
        try:
            if isinstance(where, int):
                os.setxattr(where, key, value)
            else:
                os.setxattr(where, key, value, follow_symlinks=False)
        except OSError as error:
            # A file system or a security module that does not know the name: the file is usable without it.
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
                raise


def _write(fd: int, piece: memoryview) -> None:
    while len(piece):
        piece = piece[os.write(fd, piece) :]


def translated(error: OSError, path: bytes) -> Invalid | HostFailure:
    """What it means that something could not be put at `path`: the caller's fault, or the host's failure."""
    message = f"unpacking {os.fsdecode(path)!r}: {os.strerror(error.errno or 0)}"
    return Invalid(message) if error.errno in _CALLERS_FAULT else HostFailure(message)
