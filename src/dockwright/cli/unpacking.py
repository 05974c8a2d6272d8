"""A tar stream of a container into a local directory.

The archive is hostile. Names with `..` are refused, nothing that exists as a link is written through below the directory
the copy lands in, and links of the archive are made after all files, so that no later entry can travel through one.
"""

from __future__ import annotations

import os
import tarfile

from dockwright import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_COPY_BYTES = 1024 * 1024
_BLOCK_BYTES = 32 * 1024
"""What `tarfile` reads at a time. It copies the rest of a block for every header: large blocks make small files slow."""


class _Reader:
    """The pieces of a stream as the file `tarfile` reads from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            if self._at == len(self._piece):
                self._piece, self._at = next(self._pieces, b""), 0
                if not self._piece:
                    break
            part = self._piece[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def unpack(pieces: Iterable[bytes], directory: str, name: str, *, keep_owner: bool) -> int:
    """Unpack under `directory`, the archive's root renamed to `name`. Returns the bytes of all files.

    Raises `errors.Invalid` for an entry that would land elsewhere and `errors.Corrupt` for a broken archive.
    """
    work = _Unpacking(directory, name, keep_owner)
    try:
        with tarfile.open(fileobj=_Reader(pieces), mode="r|", bufsize=_BLOCK_BYTES) as archive:  # type: ignore[call-overload]
            for entry in archive:
                work.add(archive, entry)
    except tarfile.TarError as error:
        raise errors.Corrupt(f"the archive of the container is broken: {error}") from error
    work.finish()
    return work.size_bytes


class _Unpacking:
    def __init__(self, directory: str, name: str, keep_owner: bool) -> None:
        self._directory = directory
        self._name = name
        self._keep_owner = keep_owner
        self._links: list[tuple[str, tarfile.TarInfo]] = []
        self._directories: list[tuple[str, tarfile.TarInfo]] = []
        self._files: dict[str, str] = {}
        # Parents that exist and are no links: nothing here makes a link before `finish`, so they stay that.
        self._real: set[str] = set()
        self.size_bytes = 0

    def add(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        path = self._path(entry.name)
        if entry.isdir():
            if os.path.islink(path) or not os.path.isdir(path):
                self._refuse_existing(path, entry, directory=True)
                os.mkdir(path, 0o700)
            self._directories.append((path, entry))
        elif entry.issym() or entry.islnk():
            self._links.append((path, entry))
        elif entry.isreg():
            self._write(archive, entry, path)
        elif entry.isfifo() or entry.isdev():
            self._make_node(entry, path)

    def finish(self) -> None:
        """Links, and then the directories' modes and times, the innermost first."""
        for path, entry in self._links:
            self._refuse_existing(path, entry)
            if os.path.lexists(path):
                os.unlink(path)
            if entry.issym():
                os.symlink(entry.linkname, path)
            else:
                target = self._files.get(os.path.normpath(entry.linkname))
                if target is None:
                    raise errors.Invalid(
                        f"a hard link of the archive leads out of it: {entry.name} -> {entry.linkname}"
                    )
                os.link(target, path)
            self._own(path, entry, links=True)
        for path, entry in reversed(self._directories):
            self._own(path, entry)

    def _path(self, name: str) -> str:
        """Where an entry lands, its directories made. Raises `errors.Invalid` where that would be elsewhere."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise errors.Invalid(f"an entry of the archive leads out of it: {name}")
        inner = parts if name.startswith("./") or not parts or name in (".", "./") else parts[1:]
        path = os.path.join(self._directory, self._name) if self._name != "." else self._directory
        parent = "/".join([path, *inner[:-1]]) if inner else os.path.dirname(path) or "."
        if parent not in self._real:
            for part in inner[:-1]:
                path = os.path.join(path, part)
                if os.path.islink(path):
                    raise errors.Invalid(f"an entry of the archive leads through a link: {name}")
            os.makedirs(parent, exist_ok=True)
            self._real.add(parent)
        return f"{parent}/{inner[-1]}" if inner else path

    def _refuse_existing(self, path: str, entry: tarfile.TarInfo, *, directory: bool = False) -> None:
        """A file does not take the place of a directory, nor a directory that of a file."""
        is_directory = os.path.isdir(path) and not os.path.islink(path)
        if os.path.lexists(path) and is_directory is not directory:
            kinds = ("directory", "non-directory") if is_directory else ("non-directory", "directory")
            raise errors.Invalid(f'cannot overwrite {kinds[0]} "{path}" with {kinds[1]} "{entry.name}"')

    def _write(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        self._refuse_existing(path, entry)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        if self._name == "." or "/" in entry.name.strip("/"):
            flags |= os.O_NOFOLLOW
            if os.path.islink(path):
                os.unlink(path)
        source = archive.extractfile(entry)
        assert source is not None
        with open(os.open(path, flags, 0o600), "wb", buffering=0) as file:
            while piece := source.read(_COPY_BYTES):
                file.write(piece)
        self._files[os.path.normpath(entry.name)] = path
        self.size_bytes += entry.size
        self._own(path, entry)

    def _make_node(self, entry: tarfile.TarInfo, path: str) -> None:
        import stat

        self._refuse_existing(path, entry)
        kind = stat.S_IFIFO if entry.isfifo() else stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
        os.mknod(path, entry.mode | kind, os.makedev(entry.devmajor, entry.devminor))
        self._own(path, entry)

    def _own(self, path: str, entry: tarfile.TarInfo, *, links: bool = False) -> None:
        if self._keep_owner:
            os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
        if not links:
            os.chmod(path, entry.mode & 0o7777)
        os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)
