"""COPY and ADD: which files of a tree are meant, what digest they have together, and putting them into another tree."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dockwright import archive
from dockwright.archive import Chosen, Dress, LeavesOut, Root
from dockwright.build.graph import Copy
from dockwright.container.spec import users
from dockwright.errors import DockwrightError, Invalid, NotFound
from dockwright.ignoring import Patterns, has_wildcard, match
from dockwright.ignoring import parse as parse_pattern
from dockwright.oci import Digest
from dockwright.oci import digest as digests
from dockwright.snapshot import source_of

# As chmod(1) has it: whom it is about, and what changes for them, one after the other.
_CHANGE = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SYMBOLIC = re.compile(rf"([ugoa]*)((?:{_CHANGE.pattern.replace('(', '(?:')})+)")


@dataclass(frozen=True)
class Tree:
    """Where files come from: a directory, what is left out of it, and whether its owners and times mean something."""

    root: Path
    leaves_out: LeavesOut = archive.nothing
    keeps_owners: bool = True


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


@dataclass(frozen=True)
class Landing:
    """Where files go to: the directory `folder` of a tree, and the `name` of one that is alone and is given another."""

    folder: bytes
    name: bytes = b""


def select(vertex: Copy, tree: Tree) -> Selected:
    """The files that `vertex` names. Blocking. Raises `NotFound` and `Invalid` with Docker's wording.

    A path with wildcards may mean nothing, as for files that are not in every context.
    """
    excludes = _excludes(vertex)
    with Root(tree.root) as root:
        found: list[Chosen] = []
        archives: list[bytes] = []
        for path in vertex.paths:
            places = list(_expanded(root, path, tree.leaves_out, deep=vertex.parents))
            if not places and not has_wildcard(path):
                raise _missing(path)
            for place in places:
                kind = _kind(root, place)
                if not stat.S_ISDIR(kind or 0) and excludes(place.rpartition(b"/")[2], False):
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


def land(vertex: Copy, selections: Sequence[Selected], target: Path) -> Landing:
    """Where all that is selected goes to in the tree at `target`. Blocking.

    Raises `Invalid` when several files would have the one name that the destination is.
    """
    inside = _inside(vertex.destination)
    with Root(target) as into:
        is_directory = vertex.destination.endswith("/") or _is_directory(into, inside)
        if is_directory or vertex.parents or any(one.makes_directory for one in selections):
            return Landing(inside)
        inside = _followed(into, inside)
    if sum(len(one.chosen) for one in selections) + len(vertex.inline) > 1:
        raise Invalid(
            f"{vertex.destination}: with more than one source file, the destination must be a directory and end with a /"
        )
    folder, _, name = inside.rpartition(b"/")
    return Landing(folder, name)


@dataclass(frozen=True)
class Fingerprint:
    """What files and their looks are, whatever their times: of each by its name, and `digest` of all."""

    files: dict[bytes, bytes]

    @property
    def digest(self) -> Digest:
        """It is that of names and fingerprints in their order."""
        state = digests.hasher()
        for name, found in self.files.items():
            state.update(b"%d %s %s" % (len(name), name, found))
        return digests.finished(state)


def fingerprint(vertex: Copy, tree: Tree, selected: Selected) -> Fingerprint:
    """That of the selected files. Blocking."""
    dress = Dress((0, 0) if not tree.keeps_owners else None, None, 0)
    with Root(tree.root) as root:
        found = archive.fingerprints(root, selected.chosen, dress, tree.leaves_out, _excludes(vertex))
        for path in selected.archives:
            state = digests.hasher()
            with os.fdopen(root.open(path, os.O_RDONLY), "rb") as file:
                while chunk := file.read(1 << 20):
                    state.update(chunk)
            found[path] = state.digest()
    return Fingerprint(found)


def fingerprint_of_path(tree: Tree, path: str) -> Fingerprint:
    """That of what is at `path`, its owners and times left aside. Blocking. Raises `NotFound`."""
    inside = _inside(path)
    with Root(tree.root) as root:
        if _kind(root, inside) is None:
            raise NotFound(f"{path}: not found in the build's context")
        chosen = Chosen(archive.real_path(root, inside) if inside else inside, b"")
        return Fingerprint(archive.fingerprints(root, [chosen], Dress((0, 0), None, 0), tree.leaves_out))


def copy_path(tree: Tree, path: str, target: Path) -> None:
    """Copy what is at `path` of a tree to the directory `target`: the members of a directory, or a file as `target/file`.

    Blocking. Raises `NotFound`.
    """
    inside = _inside(path)
    with Root(tree.root) as root, Root(target) as into:
        kind = _kind(root, inside)
        if kind is None:
            raise NotFound(f"{path}: not found in the build's context")
        chosen = Chosen(archive.real_path(root, inside) if inside else inside, b"" if stat.S_ISDIR(kind) else b"file")
        dress = Dress(None if tree.keeps_owners else (0, 0))
        with source_of(archive.pack_selection(root, [chosen], dress, tree.leaves_out)) as packed:
            archive.place(packed, into, b"")


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


def put(
    vertex: Copy,
    tree: Tree,
    selected: Selected,
    target: Path,
    landing: Landing,
    owner: tuple[int, int] | None,
    time_ns: int | None,
) -> None:
    """Put the selected files, and those written in the Dockerfile, into the tree at `target`. Blocking.

    `owner` is that of all of them, where one was asked for; `time_ns` replaces the times of files that come from a context.
    Raises `Invalid`.
    """
    given = owner if owner is not None else (None if tree.keeps_owners else (0, 0))
    mode = _mode(vertex.mode)
    on_the_way = _on_the_way(vertex.mode)
    dress = Dress(given, mode, None if tree.keeps_owners else time_ns)
    with Root(tree.root) as root, Root(target) as into:
        name = landing.name
        chosen = tuple(Chosen(one.path, name or one.name) for one in selected.chosen)
        if chosen or vertex.parents:
            with source_of(archive.pack_selection(root, chosen, dress, tree.leaves_out, _excludes(vertex))) as packed:
                archive.place(packed, into, landing.folder, owner, on_the_way)
        for path in selected.archives:
            with os.fdopen(root.open(path, os.O_RDONLY), "rb") as file:
                archive.place_archive(archive.decompressed(file), into, landing.folder, owner)
        if vertex.inline:
            documents = [(name or os.fsencode(one.name), one.content.encode()) for one in vertex.inline]
            dress = replace(dress, owner=given or (0, 0), mtime_ns=time_ns)
            with source_of(archive.pack_files(documents, dress)) as written:
                archive.place(written, into, landing.folder, owner, on_the_way)


def make_directory(target: Path, path: str, owner: str) -> None:
    """Make the directory `path` in the tree at `target`, where it is not there yet. Blocking. Raises `Invalid`."""
    with Root(target) as into, source_of(archive.pack_files(())) as nothing:
        archive.place(nothing, into, _inside(path), owner_of(owner, target))


def _expanded(root: Root, path: str, leaves_out: LeavesOut, *, deep: bool) -> Iterator[bytes]:
    """The paths that `path`, which may have wildcards, means. Each leads to something that is there.

    `deep`: a part `**` is any number of directories.
    """
    clean = posixpath.normpath("/" + path).strip("/")
    if not has_wildcard(clean):
        inside = os.fsencode(re.sub(r"\\(.)", r"\1", clean))
        if _kind(root, inside) is not None and not _left_out(root, inside, leaves_out):
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
    return _is_directory(root, inside) and archive.real_path(root, inside) == inside


def _left_out(root: Root, inside: bytes, leaves_out: LeavesOut) -> bool:
    return bool(inside) and leaves_out(inside, stat.S_ISDIR(_kind(root, inside) or 0))


def _kind(root: Root, inside: bytes) -> int | None:
    """The mode of what `inside` leads to, links followed; None when nothing is there."""
    try:
        fd = root.pin(inside)
    except OSError:
        return None
    try:
        return os.fstat(fd).st_mode
    finally:
        os.close(fd)


def _followed(root: Root, inside: bytes) -> bytes:
    """Where a link at `inside` leads, be it to nowhere yet."""
    try:
        return archive.real_path(root, inside)
    except OSError:
        return inside  # what is above it is not there either


def _named(root: Root, place: bytes, written: str, vertex: Copy) -> Iterator[Chosen]:
    """How the file or directory `place` is named at the destination."""
    if not vertex.follow:
        yield Chosen(place, b"" if not place or _is_contents(root, place, vertex) else place.rpartition(b"/")[2])
        return
    real = archive.real_path(root, place) if place else place
    is_directory = stat.S_ISDIR(_kind(root, place) or 0) and not (vertex.whole and place)
    if vertex.parents:
        head, pivot, _ = written.partition("/./")
        skipped = posixpath.normpath("/" + head).strip("/") if pivot else ""
        parts = place.split(b"/")[len(skipped.split("/")) if skipped else 0 :]
        yield Chosen(real, b"/".join(parts))
    elif is_directory:
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
    if not stat.S_ISREG(_kind(root, place) or 0):
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


def _excludes(vertex: Copy) -> LeavesOut:
    """What `--exclude` leaves out, of paths below what is copied."""
    patterns = Patterns([found for text in vertex.exclude if (found := parse_pattern(text)) is not None])

    def check(path: bytes, is_directory: bool) -> bool:
        text = os.fsdecode(path)
        return patterns.matches(text) and not (is_directory and patterns.may_hold_exceptions(text))

    return check if vertex.exclude else archive.nothing


def _inside(destination: str) -> bytes:
    return os.fsencode(posixpath.normpath("/" + destination).strip("/"))


def _is_directory(root: Root, inside: bytes) -> bool:
    return not inside or stat.S_ISDIR(_kind(root, inside) or 0)


def is_numeric(owner: str) -> bool:
    """Whether `user[:group]` has no names in it."""
    return re.fullmatch(r"(\d+(:\d+)?)?", owner, re.ASCII) is not None


def owner_of(text: str, target: Path) -> tuple[int, int] | None:
    """`user[:group]`, names looked up in the tree at `target`. Blocking.

    Without a group it is the one that the user has there by name; of a user by number it is that number. None for no text.
    Raises `Invalid`.
    """
    if not text:
        return None
    user = users.resolve(target, text, [])
    return user.uid, (user.uid if re.fullmatch(r"[0-9]+", text) else user.gid)


def _mode(text: str) -> Callable[[int, bool], int] | None:
    """`755`, or symbolic as chmod(1) has it. Raises `Invalid`."""
    if not text:
        return None
    if text[0].isascii() and text[0].isdigit():
        if not re.fullmatch(r"0*[0-7]{1,4}", text):
            raise Invalid(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
        return lambda mode, is_directory: int(text, 8)
    clauses = [_SYMBOLIC.fullmatch(part) for part in text.split(",")]
    if not all(clauses):
        raise Invalid(f"invalid chmod parameter: '{text}'. it is an octal number, or symbolic as u=rwX,go=rX")
    changes = [
        (clause[1] or "a", how, what) for clause in clauses if clause for how, what in _CHANGE.findall(clause[2])
    ]

    def change(mode: int, is_directory: bool) -> int:
        for who, how, what in changes:
            mode = _changed(mode, is_directory, who, how, what)
        return mode

    return change


def _on_the_way(text: str) -> int | None:
    """The mode of directories made on the way to the destination: BuildKit 0.25 gives them an octal one, no symbolic one."""
    return int(text, 8) & 0o777 if text[:1].isdigit() else None


def _changed(mode: int, is_directory: bool, who: str, how: str, what: str) -> int:
    """The mode after one change: letters of permissions, or one of `ugo` to take them from."""
    shifts = {"u": 6, "g": 3, "o": 0}
    if what in shifts:
        what = "".join(letter for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if mode >> shifts[what] & bit)
    bits = sum(4 * (letter == "r") + 2 * (letter == "w") for letter in set(what))
    if "x" in what or ("X" in what and (is_directory or mode & 0o111)):
        bits |= 1
    targets = "ugo" if "a" in who else who
    mask = sum(bits << shifts[one] for one in set(targets))
    special = (
        (0o4000 * ("s" in what and "u" in targets))
        | (0o2000 * ("s" in what and "g" in targets))
        | (0o1000 * ("t" in what))
    )
    if how == "=":
        cleared = sum(7 << shifts[one] for one in set(targets))
        return (mode & ~cleared) | mask | special
    return mode | mask | special if how == "+" else mode & ~(mask | special)
