"""A local file or directory as a tar stream, piece by piece (POSIX.1-2001 pax)."""

from __future__ import annotations

import os
import stat
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE_BYTES = 256 * 1024
_CAPABILITIES = "security.capability"
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


class Packer:
    """The tree at `path`, its root called `name` in the archive. `size_bytes` is what the files held, once it is through."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._linked: dict[tuple[int, int], str] = {}
        self.size_bytes = 0

    def pieces(self) -> Iterator[bytes]:
        return joined(self._archive())

    def _archive(self) -> Iterator[bytes]:
        yield from self._entry(self._path, self._name)
        if os.path.isdir(self._path) and not os.path.islink(self._path):
            yield from self._directory(self._path, self._name)
        yield b"\0" * 1024

    def _directory(self, path: str, name: str) -> Iterator[bytes]:
        for entry in sorted(os.scandir(path), key=lambda one: one.name):
            inner = f"{name}/{entry.name}"
            if not self.wanted(inner, entry.is_dir(follow_symlinks=False)):
                continue
            yield from self._entry(entry.path, inner)
            if entry.is_dir(follow_symlinks=False):
                yield from self._directory(entry.path, inner)

    def wanted(self, name: str, is_directory: bool) -> bool:
        """Whether a member is packed, and what is below it."""
        return True

    def _entry(self, path: str, name: str) -> Iterator[bytes]:
        info = os.lstat(path)
        kind = _KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return  # a socket cannot be in an archive
        entry = self._header(path, name, info, kind)
        yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if entry.type == tarfile.REGTYPE:
            yield from self._content(path, entry.size)

    def _header(self, path: str, name: str, info: os.stat_result, kind: bytes) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime = kind, stat.S_IMODE(info.st_mode), info.st_mtime
        entry.uid, entry.gid = info.st_uid, info.st_gid
        if kind == tarfile.SYMTYPE:
            entry.linkname = os.readlink(path)
        elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            entry.devmajor, entry.devminor = os.major(info.st_rdev), os.minor(info.st_rdev)
        elif kind == tarfile.REGTYPE:
            inode = (info.st_dev, info.st_ino)
            if info.st_nlink > 1 and inode in self._linked:
                entry.type, entry.linkname = tarfile.LNKTYPE, self._linked[inode]
                return entry
            self._linked[inode] = name
            entry.size = info.st_size
            if capabilities := _capabilities(path):
                entry.pax_headers = {f"SCHILY.xattr.{_CAPABILITIES}": capabilities}
        return entry

    def _content(self, path: str, size: int) -> Iterator[bytes]:
        """Exactly `size` bytes, whatever happens to the file meanwhile."""
        left = size
        with open(path, "rb", buffering=0) as file:
            while left:
                piece = file.read(min(_PIECE_BYTES, left)) or b"\0" * min(_PIECE_BYTES, left)
                left -= len(piece)
                yield piece
        self.size_bytes += size
        if size % 512:
            yield b"\0" * (512 - size % 512)


def _capabilities(path: str) -> str:
    try:
        return os.getxattr(path, _CAPABILITIES, follow_symlinks=False).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces put together into ones worth sending."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
