"""What a Dockerfile reads of its context: a client need not send the rest."""

from __future__ import annotations

import posixpath

from dockwright.build.dockerfile import Dockerfile
from dockwright.build.dockerfile.instructions import mounts
from dockwright.build.dockerfile.instructions.add import Add
from dockwright.build.dockerfile.instructions.base import Instruction
from dockwright.build.dockerfile.instructions.copy import Copy
from dockwright.build.dockerfile.instructions.run import Run
from dockwright.errors import Invalid

_ALL = None


def context_paths(dockerfile: Dockerfile) -> frozenset[str] | None:
    """Paths, with wildcards maybe, that its instructions may read; None when that can be anything.

    Those of every stage, needed or not. What triggers of a base image read (ONBUILD) is in no Dockerfile.
    """
    found: set[str] = set()
    for stage in dockerfile.stages:
        for one in stage.instructions:
            paths = _paths(one, dockerfile.escape)
            if paths is _ALL:
                return _ALL
            found.update(paths)
    return frozenset(found)


def _paths(one: Instruction, escape: str) -> list[str] | None:
    match one:
        case Copy() if one.from_:
            return []
        case Copy() | Add():
            return _cleaned(one.paths, escape)
        case Run():
            return _of_mounts(one.mounts, escape)
    return []


def _of_mounts(texts: tuple[str, ...], escape: str) -> list[str] | None:
    sources: list[str] = []
    for text in texts:
        if "$" in text:
            return _ALL
        try:
            mount = mounts.parse(text)
        except Invalid:
            continue  # which the plan says, with its place
        if mount.kind == "bind" and not mount.from_:
            sources.append(mount.source or ".")
    return _cleaned(tuple(sources), escape)


def _cleaned(paths: tuple[str, ...], escape: str) -> list[str] | None:
    cleaned = []
    for path in paths:
        if "$" in path or escape in path:
            return _ALL
        clean = posixpath.normpath("/" + path).strip("/")
        # What a pattern would take for something else than a name.
        if not clean or "**" in clean or clean.startswith("!") or clean != clean.strip():
            return _ALL
        cleaned.append(clean)
    return cleaned
