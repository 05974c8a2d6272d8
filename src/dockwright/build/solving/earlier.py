"""Files that a COPY has put into its layer the last time, too: linked from there instead of written once more.

A change of one file in twenty thousand then makes one file. Making the others again is nearly all of what such a COPY costs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dockwright import archive, faults
from dockwright.archive import Chosen, Dress, Root
from dockwright.build.solving.inputs import Inputs
from dockwright.errors import HostFailure
from dockwright.snapshot import source_of

Times = dict[bytes, int]


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
        """Those of the files `times_ns`, which are unchanged, that lie in the directory `folder` with the time given here.

        Blocking.
        """
        found = list[bytes]()
        with Root(self.tree) as root:
            for path, names in _by_directory(times_ns):
                try:
                    fd = root.directory(_joined(folder, path))
                except OSError:
                    continue
                for name in names:
                    there = _regular(fd, name)
                    if there is not None and there.st_mtime_ns == times_ns[name]:
                        found.append(name)
        return Shared(self.tree, folder, frozenset(found))


@dataclass(frozen=True)
class Shared:
    """The files `names` of the directory `folder` of a layer's `tree`, for another layer; there may be none."""

    tree: Path = Path()
    folder: bytes = b""
    names: frozenset[bytes] = frozenset()

    def prepare(self, target: Path) -> None:
        """Have the directory of the files changed in `target`, a mounted tree, as putting a file there would. Blocking."""
        if any(b"/" not in name for name in self.names):
            with Root(target) as root:
                os.utime(root.directory(self.folder))

    def link(self, target: Path) -> None:
        """Put the files at the same place of `target`, where their directories are; these keep their times. Blocking.

        Raises `HostFailure`.
        """
        if not self.names:
            return
        try:
            with Root(self.tree) as source, Root(target) as into:
                refused, times = list[Chosen](), list[tuple[bytes, tuple[int, int]]]()
                faults.point("build.share")
                for path, names in _by_directory(self.names):
                    where = _joined(self.folder, path)
                    old, new = source.directory(where), into.directory(where)
                    found = os.fstat(new)
                    times.append((where, (found.st_atime_ns, found.st_mtime_ns)))
                    for name in names:
                        last = name.rpartition(b"/")[2]
                        try:
                            os.link(last, last, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)
                        except OSError:  # it has as many names as the file system allows, or that knows no links
                            refused.append(Chosen(_joined(self.folder, name), _joined(self.folder, name)))
                with source_of(archive.pack_selection(source, refused, Dress())) as packed:
                    archive.place(packed, into, b"")
                for where, both in times:
                    os.utime(into.directory(where), ns=both)
        except OSError as error:
            raise HostFailure(f"a layer's files from the one before: {error}") from error


def _regular(folder: int, name: bytes) -> os.stat_result | None:
    try:
        found = os.stat(name.rpartition(b"/")[2], dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _others(inputs: Inputs, name: str) -> list[tuple[str, bytes]]:
    return [(other, bytes(value)) for other, value in inputs.pairs if other != name]


def _by_directory(names: Iterable[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    parts = sorted(name.rpartition(b"/")[::2] for name in names)
    for path, members in groupby(parts, lambda part: part[0]):
        yield path, [_joined(path, last) for _, last in members]


def _joined(folder: bytes, path: bytes) -> bytes:
    return folder + b"/" + path if folder and path else folder or path
