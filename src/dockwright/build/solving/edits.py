"""Single changes to a tree, inside which every path stays: files written, directories and links made, things removed."""

from __future__ import annotations

import fnmatch
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from dockwright.archive import Root
from dockwright.archive.root import remove_tree
from dockwright.build.planning.graph import Edit, NewDirectory, NewLink, Remove, Vertex, WriteFile
from dockwright.build.solving import owners
from dockwright.build.solving.selecting import inside_of
from dockwright.errors import Invalid, NotFound, Unsupported
from dockwright.ignoring import has_wildcard
from dockwright.oci import digest as digests

_ABOUT_PEOPLE = {one.name for one in fields(Vertex)} | {"base"}


def asked(vertex: Edit) -> Mapping[str, object]:
    """What makes the edit what it is, by name; of a content its digest."""
    found = {one.name: getattr(vertex, one.name) for one in fields(vertex) if one.name not in _ABOUT_PEOPLE}
    return {name: digests.of(value) if isinstance(value, bytes) else value for name, value in found.items()}


def apply(vertex: Edit, target: Path, time_ns: int | None) -> None:
    """Make the change in the tree at `target`. Blocking. Raises `NotFound`, `Invalid`."""
    with Root(target) as root:
        try:
            _apply(vertex, root, target, time_ns)
        except FileNotFoundError:
            raise NotFound(f"{vertex.title}: no such file or directory: {vertex.path}") from None
        except FileExistsError:
            raise Invalid(f"{vertex.title}: {vertex.path} exists already") from None
        except (NotADirectoryError, IsADirectoryError) as error:
            raise Invalid(f"{vertex.title}: {vertex.path}: {error.strerror}") from None


def _apply(vertex: Edit, root: Root, target: Path, time_ns: int | None) -> None:
    owner = owners.owner_of(vertex.owner, target) or (0, 0)
    match vertex:
        case WriteFile():
            folder, name = root.parent(inside_of(vertex.path))
            _write(folder, name, vertex, owner, time_ns)
        case NewDirectory():
            _make(root, inside_of(vertex.path), vertex, owner, time_ns)
        case NewLink():
            folder, name = root.parent(inside_of(vertex.path))
            os.symlink(os.fsencode(vertex.target), name, dir_fd=folder)
            _dress(folder, name, owner, time_ns)
        case Remove():
            _remove(root, vertex)
        case _:
            raise Unsupported(f"{type(vertex).__name__} cannot be built")


def _write(folder: int, name: bytes, vertex: WriteFile, owner: tuple[int, int], time_ns: int | None) -> None:
    """In place of what was there, unless that is a directory; a link there is replaced, not followed."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        file.write(vertex.content)
        file.flush()
        os.fchown(fd, *owner)
        os.fchmod(fd, vertex.mode & 0o7777)
    _date(folder, name, time_ns)


def _make(root: Root, path: bytes, vertex: NewDirectory, owner: tuple[int, int], time_ns: int | None) -> None:
    parts = path.split(b"/") if path else []
    for depth in range(1 if vertex.parents else len(parts), len(parts) + 1):
        folder, name = root.parent(b"/".join(parts[:depth]))
        try:
            os.mkdir(name, vertex.mode & 0o7777, dir_fd=folder)
        except FileExistsError:
            if not vertex.parents:
                raise
            continue
        os.chmod(name, vertex.mode & 0o7777, dir_fd=folder)
        _dress(folder, name, owner, time_ns)


def _dress(folder: int, name: bytes, owner: tuple[int, int], time_ns: int | None) -> None:
    os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)
    _date(folder, name, time_ns)


def _date(folder: int, name: bytes, time_ns: int | None) -> None:
    if time_ns is not None:
        os.utime(name, ns=(time_ns, time_ns), dir_fd=folder, follow_symlinks=False)


def _remove(root: Root, vertex: Remove) -> None:
    places = list(_matching(root, vertex.path)) if vertex.wildcards else [inside_of(vertex.path)]
    if not all(places):
        raise Invalid(f"{vertex.title}: the root of a tree cannot be removed")
    for place in places:
        try:
            folder, name = root.parent(place)
        except FileNotFoundError:
            if vertex.missing_ok:
                continue
            raise
        remove_tree(folder, name, missing_ok=vertex.missing_ok)
        root.forget()


def _matching(root: Root, path: str) -> Iterator[bytes]:
    """The places that a path with wildcards means; a path without any, itself."""
    inside = os.fsdecode(inside_of(path))
    if not has_wildcard(inside):
        yield os.fsencode(inside)
        return
    found = [""]
    for part in inside.split("/"):
        found = [posixpath.join(folder, name) for folder in found for name in _names(root, folder, part)]
    yield from map(os.fsencode, found)


def _names(root: Root, folder: str, part: str) -> list[str]:
    if not has_wildcard(part):
        return [part]
    try:
        names = os.listdir(root.directory(os.fsencode(folder)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(fnmatch.filter(names, part))
