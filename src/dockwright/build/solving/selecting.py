"""Which files of a tree a COPY or ADD means, and what digest they have together."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dockwright import archive
from dockwright.archive import Chosen, Dress, Fingerprints, LeavesOut, Root, Selection
from dockwright.build.planning.graph import Copy
from dockwright.errors import DockwrightError, NotFound
from dockwright.ignoring import Patterns, has_wildcard, match
from dockwright.ignoring import parse as parse_pattern
from dockwright.oci import Digest
from dockwright.oci import digest as digests


@dataclass(frozen=True)
class Tree:
    """Where files come from: a directory, what is left out of it, and whether its owners and times mean something."""

    root: Path
    leaves_out: LeavesOut = archive.nothing
    keeps_owners: bool = True
    # Where it is kept what was found in its files, of a tree that is there for longer than a build.
    seen: Path | None = None


@dataclass(frozen=True)
class Selected:
    """What a COPY means in one tree."""

    chosen: tuple[Chosen, ...]
    archives: tuple[bytes, ...]

    @property
    def makes_directory(self) -> bool:
        """Whether the destination becomes a directory by it: of a directory and of an archive it is the members that count."""
        return bool(self.archives) or any(one.name == b"" for one in self.chosen)

    @property
    def single(self) -> bool:
        """Whether it is one file, which may be given another name."""
        return len(self.chosen) == 1 and not self.makes_directory


def select(vertex: Copy, tree: Tree) -> Selected:
    """The files that `vertex` names. Blocking. Raises `NotFound` and `Invalid` with Docker's wording.

    A path with wildcards may mean nothing, as for files that are not in every context.
    """
    leaves_out = excludes(vertex)
    with Root(tree.root) as root:
        found: list[Chosen] = []
        archives: list[bytes] = []
        for path in vertex.paths:
            places = list(_expanded(root, path, tree.leaves_out, deep=vertex.parents))
            if not places and not has_wildcard(path):
                raise _missing(path)
            for place in places:
                kind = kind_of(root, place)
                if not stat.S_ISDIR(kind or 0) and leaves_out(place.rpartition(b"/")[2], False):
                    continue
                if kind is None:  # a link to nowhere that a wildcard has found
                    raise _missing(os.fsdecode(place))
                if vertex.unpack and _is_archive(root, place):
                    archives.append(place)
                else:
                    found += _named(root, place, path, vertex)
    return Selected(tuple(found), tuple(archives))


def _missing(path: str) -> NotFound:
    return NotFound(f"{path}: file not found in the build's files, or left out by the ignore file")


def digest_of(fingerprints: Fingerprints) -> Digest:
    """That of names and fingerprints in their order."""
    state = digests.hasher()
    for name, found in fingerprints.digests.items():
        state.update(b"%d %s %s" % (len(name), name, found))
    return digests.finished(state)


def fingerprints(vertex: Copy, tree: Tree, selected: Selected) -> Fingerprints:
    """Those of the selected files. Blocking."""
    dress = Dress((0, 0) if not tree.keeps_owners else None, None, 0)
    with Root(tree.root) as root:
        seen = archive.Seen(tree.seen) if tree.seen is not None else None
        selection = Selection(selected.chosen, dress, tree.leaves_out, excludes(vertex))
        found = archive.fingerprints(root, selection, seen)
        if seen is not None:
            seen.keep()
        for path in selected.archives:
            state = digests.hasher()
            with os.fdopen(root.open(path, os.O_RDONLY), "rb") as file:
                while chunk := file.read(1 << 20):
                    state.update(chunk)
            found.digests[path] = state.digest()
    return found


def fingerprints_at(tree: Tree, path: str) -> Fingerprints:
    """Those of what is at `path`, its owners and times left aside. Blocking. Raises `NotFound`."""
    inside = inside_of(path)
    with Root(tree.root) as root:
        if kind_of(root, inside) is None:
            raise NotFound(f"{path}: not found in the build's context")
        chosen = Chosen(archive.real_path(root, inside) if inside else inside, b"")
        return archive.fingerprints(root, Selection([chosen], Dress((0, 0), None, 0), tree.leaves_out))


def leaves_something_out(tree: Tree) -> bool:
    """Whether anything of what is in the directory is left out. Blocking."""
    start = os.fsencode(tree.root)
    for folder, directories, names in os.walk(start):
        prefix = folder[len(start) :].strip(b"/") + b"/"
        if any(tree.leaves_out((prefix + name).lstrip(b"/"), False) for name in names):
            return True
        if any(tree.leaves_out((prefix + name).lstrip(b"/"), True) for name in directories):
            return True
    return False


def _expanded(root: Root, path: str, leaves_out: LeavesOut, *, deep: bool) -> Iterator[bytes]:
    """The paths that `path`, which may have wildcards, means. Each leads to something that is there.

    `deep`: a part `**` is any number of directories.
    """
    clean = posixpath.normpath("/" + path).strip("/")
    if not has_wildcard(clean):
        inside = os.fsencode(re.sub(r"\\(.)", r"\1", clean))
        if kind_of(root, inside) is not None and not _left_out(root, inside, leaves_out):
            yield inside
        return
    head, tail = [], clean.split("/")
    while tail and not has_wildcard(tail[0]):
        head.append(tail.pop(0))
    yield from dict.fromkeys(_matching(root, os.fsencode("/".join(head)), tail, leaves_out, deep=deep))


def _matching(root: Root, folder: bytes, parts: list[str], leaves_out: LeavesOut, *, deep: bool) -> Iterator[bytes]:
    """What `parts` lead to below `folder`. `deep`: a part `**` is any number of directories."""
    if not parts:
        yield folder
        return
    anywhere = deep and parts[0] == "**"
    if anywhere:
        yield from _matching(root, folder, parts[1:], leaves_out, deep=deep)
    try:
        names = sorted(os.listdir(root.directory(folder)), key=os.fsencode)
    except OSError:
        return
    for name in names:
        if not match(parts[0], name):
            continue
        inside = b"/".join(filter(None, (folder, os.fsencode(name))))
        if _left_out(root, inside, leaves_out) or (anywhere and not _is_real_directory(root, inside)):
            continue
        yield from _matching(root, inside, parts if anywhere else parts[1:], leaves_out, deep=deep)


def _is_real_directory(root: Root, inside: bytes) -> bool:
    """Whether it is a directory, and no link to one."""
    return is_directory(root, inside) and archive.real_path(root, inside) == inside


def _left_out(root: Root, inside: bytes, leaves_out: LeavesOut) -> bool:
    return bool(inside) and leaves_out(inside, stat.S_ISDIR(kind_of(root, inside) or 0))


def kind_of(root: Root, inside: bytes) -> int | None:
    """The mode of what `inside` leads to, links followed; None when nothing is there."""
    try:
        fd = root.pin(inside)
    except OSError:
        return None
    try:
        return os.fstat(fd).st_mode
    finally:
        os.close(fd)


def _named(root: Root, place: bytes, written: str, vertex: Copy) -> Iterator[Chosen]:
    """How the file or directory `place` is named at the destination."""
    if not vertex.follow:
        yield Chosen(place, b"" if not place or _is_contents(root, place, vertex) else place.rpartition(b"/")[2])
        return
    real = archive.real_path(root, place) if place else place
    is_folder = stat.S_ISDIR(kind_of(root, place) or 0) and not (vertex.whole and place)
    if vertex.parents:
        head, pivot, _ = written.partition("/./")
        skipped = posixpath.normpath("/" + head).strip("/") if pivot else ""
        parts = place.split(b"/")[len(skipped.split("/")) if skipped else 0 :]
        yield Chosen(real, b"/".join(parts))
    elif is_folder:
        yield Chosen(real, b"")
    else:
        yield Chosen(real, place.rpartition(b"/")[2])


def _is_contents(root: Root, place: bytes, vertex: Copy) -> bool:
    """Whether it is a directory itself, of which the members are wanted."""
    if vertex.whole:
        return False
    fd = root.pin(place, follow=False)
    try:
        return stat.S_ISDIR(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _is_archive(root: Root, place: bytes) -> bool:
    """Whether it is a tar, compressed or not, as `ADD` unpacks it."""
    if not stat.S_ISREG(kind_of(root, place) or 0):
        return False
    with os.fdopen(root.open(place, os.O_RDONLY), "rb") as file:
        try:
            source = archive.decompressed(file)
            head = b""
            while len(head) < 512 and (chunk := source.read(512 - len(head))):
                head += chunk
        except (DockwrightError, OSError):
            return False
    return archive.is_tar(head)


def excludes(vertex: Copy) -> LeavesOut:
    """What `--exclude` leaves out, of paths below what is copied."""
    patterns = Patterns([found for text in vertex.exclude if (found := parse_pattern(text)) is not None])

    def check(path: bytes, is_directory: bool) -> bool:
        text = os.fsdecode(path)
        return patterns.matches(text) and not (is_directory and patterns.may_hold_exceptions(text))

    return check if vertex.exclude else archive.nothing


def inside_of(destination: str) -> bytes:
    """A path of a Dockerfile as one inside a root."""
    return os.fsencode(posixpath.normpath("/" + destination).strip("/"))


def is_directory(root: Root, inside: bytes) -> bool:
    """Whether there is a directory, or a link to one."""
    return not inside or stat.S_ISDIR(kind_of(root, inside) or 0)
