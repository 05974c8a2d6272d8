"""Putting files into a tree: where they land, under which names, as whose."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dockwright import archive
from dockwright.archive import Chosen, Dress, Root, Selection
from dockwright.build.planning.graph import Copy
from dockwright.build.solving import modes, owners
from dockwright.build.solving.selecting import Selected, Tree, excludes, inside_of, is_directory, kind_of
from dockwright.errors import Invalid, NotFound
from dockwright.snapshot import source_of


@dataclass(frozen=True)
class Landing:
    """Where files go to: the directory `folder` of a tree, and the `name` of one that is alone and is given another."""

    folder: bytes
    name: bytes = b""


def land(vertex: Copy, selections: Sequence[Selected], target: Path) -> Landing:
    """Where all that is selected goes to in the tree at `target`. Blocking.

    Raises `Invalid` when several files would have the one name that the destination is.
    """
    inside = inside_of(vertex.destination)
    with Root(target) as into:
        is_there = vertex.destination.endswith("/") or is_directory(into, inside)
        if is_there or vertex.parents or any(one.makes_directory for one in selections):
            return Landing(inside)
        inside = _followed(into, inside)
    if sum(len(one.chosen) for one in selections) + len(vertex.inline) > 1:
        raise Invalid(
            f"{vertex.destination}: with more than one source file, the destination must be a directory and end with a /"
        )
    folder, _, name = inside.rpartition(b"/")
    return Landing(folder, name)


def copy_path(tree: Tree, path: str, target: Path) -> None:
    """Copy what is at `path` of a tree to the directory `target`: the members of a directory, or a file as `target/file`.

    Blocking. Raises `NotFound`.
    """
    inside = inside_of(path)
    with Root(tree.root) as root, Root(target) as into:
        kind = kind_of(root, inside)
        if kind is None:
            raise NotFound(f"{path}: not found in the build's context")
        chosen = Chosen(archive.real_path(root, inside) if inside else inside, b"" if stat.S_ISDIR(kind) else b"file")
        dress = Dress(None if tree.keeps_owners else (0, 0))
        with source_of(archive.pack_selection(root, Selection([chosen], dress, tree.leaves_out))) as packed:
            archive.place(packed, into, b"")


def put(
    vertex: Copy,
    tree: Tree,
    selected: Selected,
    target: Path,
    landing: Landing,
    owner: tuple[int, int] | None,
    time_ns: int | None,
    without: Collection[bytes] = frozenset(),
) -> None:
    """Put the selected files, and those written in the Dockerfile, into the tree at `target`. Blocking.

    `owner` is that of all of them, where one was asked for; `time_ns` replaces the times of files that come from a context.
    Files called as in `without` are somebody else's to put there. Raises `Invalid`.
    """
    given = owner if owner is not None else (None if tree.keeps_owners else (0, 0))
    mode = modes.parse(vertex.mode)
    on_the_way = modes.on_the_way(vertex.mode)
    dress = Dress(given, mode, None if tree.keeps_owners else time_ns)
    with Root(tree.root) as root, Root(target) as into:
        name = landing.name
        chosen = tuple(Chosen(one.path, name or one.name) for one in selected.chosen)
        if chosen or vertex.parents:
            selection = Selection(chosen, dress, tree.leaves_out, excludes(vertex))
            with source_of(archive.pack_selection(root, selection, without)) as packed:
                archive.place(packed, into, landing.folder, owner, on_the_way)
        for path in selected.archives:
            with os.fdopen(root.open(path, os.O_RDONLY), "rb") as file:
                archive.place_archive(archive.decompressed(file), into, landing.folder, owner)
        if vertex.inline:
            documents = [(name or os.fsencode(one.name), one.content.encode()) for one in vertex.inline]
            dress = replace(dress, owner=given or (0, 0), mtime_ns=time_ns)
            with source_of(archive.pack_files(documents, dress)) as written:
                archive.place(written, into, landing.folder, owner, on_the_way)


def own_time(tree: Tree, own_ns: int, time_ns: int | None) -> int | None:
    """The time that a file of `tree` has in a layer of which `time_ns` is the latest; None where all have that one."""
    if time_ns is None:
        return own_ns
    return min(own_ns, time_ns) if tree.keeps_owners else None


def make_directory(target: Path, path: str, owner: str) -> None:
    """Make the directory `path` in the tree at `target`, where it is not there yet. Blocking. Raises `Invalid`."""
    with Root(target) as into, source_of(archive.pack_files(())) as nothing:
        archive.place(nothing, into, inside_of(path), owners.owner_of(owner, target))


def _followed(root: Root, inside: bytes) -> bytes:
    """Where a link at `inside` leads, be it to nowhere yet."""
    try:
        return archive.real_path(root, inside)
    except OSError:
        return inside  # what is above it is not there either
