"""Files that a COPY has put into its layer the last time, too: linked from there instead of written once more.

A change of one file in twenty thousand then makes one file. Making the others again is nearly all of what such a COPY costs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from dockwright import archive, faults
from dockwright.archive import Chosen, Dress, Root, Selection
from dockwright.build.solving.inputs import Inputs
from dockwright.errors import HostFailure
from dockwright.snapshot import source_of

_THREADS = 2
# So few files are linked before threads are there.
_FEW = 500

Times = dict[bytes, int | None]


@dataclass(frozen=True)
class Earlier:
    """What a step was when it was last done: `tree` has the files of the layer that it made of `inputs`."""

    inputs: Inputs
    tree: Path

    def unchanged(self, now: Inputs, name: str) -> set[bytes]:
        """The files that the input `name` had then as now; none where any other input was another.

        The base is among those: it decides where in its layer a file lands, and that it may be there.
        """
        before = self.inputs
        if before.kind != now.kind or _others(before, name) != _others(now, name):
            return set()
        old, new = before.files.get(name, {}), now.files.get(name, {})
        return {os.fsencode(path) for path, digest in new.items() if old.get(path) == digest}

    def shared(self, folder: bytes, times_ns: Times) -> Shared:
        """Those of the files `times_ns`, which are unchanged, that lie in the directory `folder`, of the time given if one is.

        Blocking.
        """
        parts = []
        with Root(self.tree) as root:
            for path, names in _by_directory(times_ns):
                try:
                    fd = root.directory(_joined(folder, path))
                except OSError:
                    continue
                with os.scandir(fd) as entries:
                    there = {os.fsencode(entry.name): entry for entry in entries}
                same = [name for name in names if _is_file(there.get(name), times_ns[_joined(path, name)])]
                if same:
                    parts.append(Part(path, tuple(same)))
        return Shared(self.tree, folder, tuple(parts))


@dataclass(frozen=True)
class Part:
    """Files of one directory."""

    path: bytes
    names: tuple[bytes, ...]


@dataclass(frozen=True)
class Shared:
    """Files of the directory `folder` of a layer's `tree`, for another layer; there may be none."""

    tree: Path = Path()
    folder: bytes = b""
    parts: tuple[Part, ...] = ()

    @cached_property
    def names(self) -> frozenset[bytes]:
        """The files' paths in the directory."""
        return frozenset(_joined(part.path, name) for part in self.parts for name in part.names)

    def prepare(self, target: Path) -> None:
        """Have the directory of the files changed in `target`, a mounted tree, as putting a file there would. Blocking."""
        if any(not part.path for part in self.parts):
            with Root(target) as root:
                os.utime(root.directory(self.folder))

    def link(self, target: Path) -> None:
        """Put the files at the same place of `target`, where their directories are; these keep their times. Blocking.

        Raises `HostFailure`.
        """
        if not self.parts:
            return
        try:
            faults.point("build.share")
            if len(self.names) <= _FEW:
                self._link(self.parts, target)
                return
            # Nearly all of it is the kernel's, which lets no two work on one directory, but on two at once.
            shares = [self.parts[number::_THREADS] for number in range(_THREADS)]
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="link") as pool:
                list(pool.map(self._link, shares, [target] * _THREADS))
        except OSError as error:
            raise HostFailure(f"a layer's files from the one before: {error}") from error

    def _link(self, share: Iterable[Part], target: Path) -> None:
        with Root(self.tree) as source, Root(target) as into:
            for part in share:
                where = _joined(self.folder, part.path)
                old, new = source.directory(where), into.directory(where)
                found = os.fstat(new)
                refused = []
                for name in part.names:
                    try:
                        os.link(name, name, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)
                    except OSError:  # it has as many names as the file system allows, or that knows no links
                        refused.append(Chosen(_joined(where, name), name))
                if refused:
                    with source_of(archive.pack_selection(source, Selection(refused, Dress()))) as packed:
                        archive.place(packed, into, where)
                os.utime(into.directory(where), ns=(found.st_atime_ns, found.st_mtime_ns))


def _is_file(entry: os.DirEntry[str] | None, time_ns: int | None) -> bool:
    """Whether it is a regular file, of that time if one is given."""
    if entry is None or not entry.is_file(follow_symlinks=False):
        return False
    return time_ns is None or entry.stat(follow_symlinks=False).st_mtime_ns == time_ns


def _others(inputs: Inputs, name: str) -> list[tuple[str, bytes]]:
    return [(other, bytes(value)) for other, value in inputs.pairs if other != name]


def _by_directory(paths: Iterable[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Directories, and the names in each."""
    parts = sorted(path.rpartition(b"/")[::2] for path in paths)
    for path, members in groupby(parts, lambda part: part[0]):
        yield path, [name for _, name in members]


def _joined(folder: bytes, path: bytes) -> bytes:
    return folder + b"/" + path if folder and path else folder or path
