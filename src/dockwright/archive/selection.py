"""Some files of one tree, as a tar that looks the same wherever they came from, and putting that into another tree.

What COPY and ADD of a Dockerfile do: the same tar is first hashed, to know whether the files are known, and then unpacked.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockwright.archive import tarformat as tar
from dockwright.archive.pack import Packer
from dockwright.archive.root import DIRECTORY, Root
from dockwright.archive.source import Source
from dockwright.archive.tarformat import Entry
from dockwright.archive.unpack import Options, Unpacker, translated
from dockwright.errors import Invalid

FILE_MODE = 0o644

#: Whether a path is left out; asked with True, whether all below it is, too. A directory that is left out by itself alone is
#: there as the way to what is below.
LeavesOut = Callable[[bytes, bool], bool]


def nothing(path: bytes, is_directory: bool) -> bool:
    """Leaves out nothing."""
    return False


@dataclass(frozen=True)
class Chosen:
    """What is at `path` of the source tree, to be named `name`; an empty name stands for the members of a directory alone."""

    path: bytes
    name: bytes


@dataclass(frozen=True)
class Dress:
    """What replaces the files' own owner (uid, gid), mode (a function of mode and whether it is a directory) and time."""

    owner: tuple[int, int] | None = None
    mode: Callable[[int, bool], int] | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True)
class Selection:
    """Some files of a tree, and how they are to look.

    `leaves_out` is asked with paths in the tree, `excludes` with those below each choice.
    """

    chosen: Sequence[Chosen]
    dress: Dress
    leaves_out: LeavesOut = nothing
    excludes: LeavesOut = nothing


def pack_selection(
    root: Root, selection: Selection, without: Collection[bytes] = frozenset()
) -> Generator[bytes, None, None]:
    """The tar of what is selected. Blocking. Raises `OSError` when something is not there.

    Files named in `without` get no entry; the directories on the way to them do.
    """
    packer = SelectionPacker(root, selection, without)
    yield from packer.selected()
    yield from packer.end()


def pack_files(files: Iterable[tuple[bytes, bytes]], dress: Dress | None = None) -> Generator[bytes, None, None]:
    """The tar of files that are here as name and content, to be looked at through `dress`."""
    looks = dress or Dress()
    for name, content in files:
        uid, gid = looks.owner or (0, 0)
        mode = looks.mode(FILE_MODE, False) if looks.mode else FILE_MODE
        mtime_ns = time.time_ns() if looks.mtime_ns is None else looks.mtime_ns
        entry = Entry(name, tar.REGULAR, mode, uid, gid, len(content), mtime_ns)
        yield tar.encode(entry, subsecond=True) + content + tar.padding(len(content))
    yield tar.END


def place(
    source: Source,
    root: Root,
    below: bytes,
    owner: tuple[int, int] | None = None,
    mode: int | None = None,
) -> None:
    """Unpack a tar of `pack_selection` into the directory `below` of `root`, which is made when it is not there.

    A directory that exists keeps its members and gets the looks of the archive's; other files are replaced. `owner` and `mode`
    are those of directories made on the way. Blocking. Raises `Invalid` when a directory would be replaced by something else,
    or the other way round.
    """
    _run(_Placer(root, source, Options(keep_kind=True, below=below), owner, mode), below)


def place_archive(source: Source, root: Root, below: bytes, owner: tuple[int, int] | None = None) -> None:
    """`place` of a tar that somebody else has made. `owner` is that of everything in it, too."""
    _run(_Placer(root, source, Options(owner=owner, keep_kind=True, below=below), owner, None), below)


def _run(placer: _Placer, below: bytes) -> None:
    if below.strip(b"/"):
        try:
            placer.make_parents(below.strip(b"/"))
        except NotADirectoryError:
            where = os.fsdecode(below.strip(b"/"))
            raise Invalid(f'cannot overwrite non-directory "/{where}" with directory "/{where}"') from None
        except OSError as error:
            raise translated(error, below) from error
    placer.run()


class SelectionPacker(Packer):
    """Makes the tar of `pack_selection`."""

    def __init__(self, root: Root, selection: Selection, without: Collection[bytes] = frozenset()) -> None:
        super().__init__(root, subsecond=True)
        self._selection, self._without = selection, without
        self._now = Chosen(b"", b"")
        self._ways: list[Entry] = []

    def selected(self) -> Iterator[bytes]:
        """The entries of each choice."""
        for one in self._selection.chosen:
            self._now = one
            if not self.passes(one.name):
                yield from self.members(one.path, one.name)

    def passes(self, name: bytes) -> bool:
        if name not in self._without:
            return False
        self.tell_ways(name)
        return True

    def source_of(self, name: bytes) -> bytes:
        """The path in the tree of what is to be named `name`."""
        inside, above = self._inside(name), self._now.path.strip(b"/")
        return above + b"/" + inside if above and inside else above or inside

    def _inside(self, name: bytes) -> bytes:
        return name[len(self._now.name) :].strip(b"/")

    def wanted(self, name: bytes, found: os.stat_result) -> bool:
        return not self._is_left_out(name, with_all_below=stat.S_ISDIR(found.st_mode))

    def _is_left_out(self, name: bytes, *, with_all_below: bool) -> bool:
        asked = self._selection
        return asked.leaves_out(self.source_of(name), with_all_below) or asked.excludes(
            self._inside(name), with_all_below
        )

    def directory(self, fd: int, name: bytes, found: os.stat_result) -> None:
        if name.strip(b"/") != self._now.name.strip(b"/") and self._is_left_out(name, with_all_below=False):
            self._ways.append(self.entry(name + b"/", found, fd))
        else:
            super().directory(fd, name, found)

    def header(self, entry: Entry) -> None:
        self.tell_ways(entry.name)
        self.tell(entry)

    def tell_ways(self, name: bytes) -> None:
        """The entries of directories that are there as the way to `name` alone."""
        ways, self._ways = self._ways, []
        for way in ways:
            if name.startswith(way.name):  # others had nothing below
                self.tell(way)

    def tell(self, entry: Entry) -> None:
        """An entry that there is."""
        super().header(entry)

    def entry(self, name: bytes, found: os.stat_result, fd: int | None) -> Entry:
        entry = super().entry(name, found, fd)
        dress = self._selection.dress
        if dress.owner is not None:
            entry.uid, entry.gid = dress.owner
        if dress.mode is not None and not stat.S_ISLNK(found.st_mode):
            entry.mode = dress.mode(entry.mode, stat.S_ISDIR(found.st_mode))
        if dress.mtime_ns is not None:
            entry.mtime_ns = dress.mtime_ns
        return entry


class _Placer(Unpacker):
    def __init__(
        self, root: Root, source: Source, options: Options, owner: tuple[int, int] | None, mode: int | None
    ) -> None:
        super().__init__(root, source, options)
        self._owner, self._mode = owner, mode

    def make_directory(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        if not self._is_link_to_directory(folder, name, full):
            super().make_directory(folder, name, entry, full)

    def _is_link_to_directory(self, folder: int, name: bytes, full: bytes) -> bool:
        try:
            os.readlink(name, dir_fd=folder)
            os.close(self.root.open(full, DIRECTORY))
        except OSError:
            return False
        return True

    def dangling(self, full: bytes) -> None:
        self.make_where_it_leads(full)

    def implied(self, full: bytes) -> None:
        if self._owner is None and self._mode is None:
            return
        fd = self.root.open(full, DIRECTORY)
        try:
            if self._owner is not None:
                os.fchown(fd, *self._owner)
            if self._mode is not None:
                os.fchmod(fd, self._mode)
        finally:
            os.close(fd)
