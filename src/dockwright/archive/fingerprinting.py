"""What files are, to know them again: a digest of each, whatever its time; files that did not change are not read again."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright.archive import tarformat as tar
from dockwright.archive.root import Root
from dockwright.archive.selection import Selection, SelectionPacker
from dockwright.archive.tarformat import Entry

_MARK = struct.Struct("<QQqq")
_LIMIT = 1_000_000


@dataclass(frozen=True)
class Fingerprints:
    """Of each entry a digest of head and content, whatever its time, by its name, sorted as a tar would have them.

    `times_ns` are those of the regular files that have one name alone.
    """

    digests: dict[bytes, bytes]
    times_ns: dict[bytes, int]


class Seen:
    """What was found in the files of one directory, kept in the file `path`: good until inode or its change time is another.

    For directories whose files are replaced and never written to in place, as a change within one tick of the clock is not seen
    here. The file may be lost: then everything is read again. Blocking.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[bytes, tuple[bytes, bytes]] = {}
        self._changed = False
        try:
            self._found = msgspec.msgpack.decode(path.read_bytes(), type=dict[bytes, tuple[bytes, bytes]])
        except (OSError, msgspec.DecodeError):
            pass

    def recall(self, name: bytes, found: os.stat_result) -> bytes | None:
        """The digest of the file, where it was read as it is."""
        kept = self._found.get(name)
        return kept[1] if kept is not None and kept[0] == _mark(found) else None

    def note(self, name: bytes, found: os.stat_result, digest: bytes) -> None:
        """The file was read, after `found` was."""
        self._found[name] = _mark(found), digest
        self._changed = True

    def keep(self) -> None:
        """Write down what is known."""
        if not self._changed:
            return
        if len(self._found) > _LIMIT:  # most of them must be gone
            self._found = {}
        new = self._path.with_name(f"{self._path.name}.{threading.get_ident()}.new")
        try:
            new.write_bytes(msgspec.msgpack.encode(self._found))
            os.replace(new, self._path)
        except OSError:
            new.unlink(missing_ok=True)  # no room for what can be found out again


def _mark(found: os.stat_result) -> bytes:
    return _MARK.pack(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def fingerprints(root: Root, selection: Selection, seen: Seen | None = None) -> Fingerprints:
    """Those of what `pack_selection` would give. `seen` is of this root and of files in this dress.

    Blocking. Raises `OSError` when something is not there.
    """
    reader = _Fingerprinter(root, selection, seen)
    for _ in reader.selected():
        pass  # nothing is gathered
    return reader.found()


class _Fingerprinter(SelectionPacker):
    """Instead of writing entries, hashes each."""

    def __init__(self, root: Root, selection: Selection, seen: Seen | None) -> None:
        super().__init__(root, selection)
        self._seen = seen
        self._digests: dict[bytes, bytes] = {}
        self._times_ns: dict[bytes, int] = {}
        self._state = hashlib.sha256()
        self._found_ns = 0
        self._linked: set[bytes] = set()

    def entry(self, name: bytes, found: os.stat_result, fd: int | None) -> Entry:
        self._found_ns = found.st_mtime_ns
        return super().entry(name, found, fd)

    def tell(self, entry: Entry) -> None:
        # Without the name: what a file is does not depend on where it is put.
        name, entry.name = entry.name, b""
        self._state = hashlib.sha256(tar.encode(entry, subsecond=True))
        entry.name = name
        if entry.kind == tar.HARDLINK:
            self._linked.add(entry.target)
        self._note(name, self._found_ns if entry.kind == tar.REGULAR else None, self._state.digest())

    def _note(self, name: bytes, time_ns: int | None, digest: bytes) -> None:
        self._digests[name] = digest
        if time_ns is not None:
            self._times_ns[name] = time_ns

    def _file(self, folder: int, base: bytes, name: bytes, found: os.stat_result) -> Iterable[bytes]:
        if self._seen is None or found.st_nlink > 1 or not stat.S_ISREG(found.st_mode):
            self._read(folder, base, name, found)
            return ()
        path = self.source_of(name)
        known = self._seen.recall(path, found)
        if known is not None:
            self.tell_ways(name)
            self._note(name, found.st_mtime_ns, known)
        elif (digest := self._read(folder, base, name, found)) is not None:
            self._seen.note(path, found, digest)
        return ()

    def _read(self, folder: int, base: bytes, name: bytes, found: os.stat_result) -> bytes | None:
        """Its digest; None where there is nothing any more to have one."""
        before = self._state
        for _ in super()._file(folder, base, name, found):
            pass  # nothing is gathered
        if self._state is before:
            return None
        self._digests[name] = digest = self._state.digest()
        return digest

    def _put(self, data: bytes) -> None:
        self._state.update(data)

    def found(self) -> Fingerprints:
        """All of it."""
        times_ns = {name: time_ns for name, time_ns in self._times_ns.items() if name not in self._linked}
        return Fingerprints(self._digests, times_ns)
