"""Files copied, written and removed: `file` operations, each action of which becomes a step."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from dockwright.api.buildkit.llb.results import Results, chosen, layered
from dockwright.build.planning.graph import (
    Copy,
    NewDirectory,
    NewLink,
    Remove,
    Vertex,
    WriteFile,
)
from dockwright.buildkit.proto import llb_pb2 as wire
from dockwright.errors import Unsupported

_WILDCARDS = re.compile(r"([*?\[\]\\])")


def translate(op: wire.FileOp, inputs: Sequence[Vertex], title: str) -> Results:
    """Inputs of actions are those of the operation, then what the actions before came to.

    Raises `Unsupported` for a field that cannot be done.
    """
    known = list(inputs)
    made: list[Vertex] = []
    outputs: dict[int, Vertex] = {}
    for action in op.actions:
        vertex = _action(action, known, title)
        known.append(vertex)
        made.append(vertex)
        if action.output >= 0:
            outputs[action.output] = vertex
    return Results(outputs, tuple(made))


def _action(action: wire.FileAction, known: Sequence[Vertex], title: str) -> Vertex:
    base = layered(chosen(known, action.input, "file"))
    match action.WhichOneof("action"):
        case "copy":
            return _copy(action, base, known, title)
        case "mkfile":
            one = action.mkfile
            _check_time(one.timestamp, "mkfile")
            return WriteFile(
                title=title or f"mkfile {one.path}",
                base=base,
                path=one.path,
                content=one.data,
                mode=one.mode,
                owner=_owner(one.owner, action, "mkfile"),
            )
        case "mkdir":
            two = action.mkdir
            _check_time(two.timestamp, "mkdir")
            return NewDirectory(
                title=title or f"mkdir {two.path}",
                base=base,
                path=two.path,
                mode=two.mode,
                parents=two.makeParents,
                owner=_owner(two.owner, action, "mkdir"),
            )
        case "rm":
            rm = action.rm
            return Remove(
                title=title or f"rm {rm.path}",
                base=base,
                path=rm.path,
                missing_ok=rm.allowNotFound,
                wildcards=rm.allowWildcard,
            )
        case "symlink":
            link = action.symlink
            _check_time(link.timestamp, "symlink")
            return NewLink(
                title=title or f"symlink {link.oldpath} -> {link.newpath}",
                base=base,
                path=link.newpath,
                target=link.oldpath,
                owner=_owner(link.owner, action, "symlink"),
            )
    raise Unsupported("file: an action of an unknown kind is not supported")


def _copy(action: wire.FileAction, base: Vertex, known: Sequence[Vertex], title: str) -> Vertex:
    """What BuildKit checks beyond it is allowed here: a directory to copy to is made where it is missing."""
    one = action.copy
    _check_time(one.timestamp, "copy")
    found = {
        "include_patterns": one.include_patterns,
        "required_paths": one.required_paths,
        "alwaysReplaceExistingDestPaths": one.alwaysReplaceExistingDestPaths,
    }
    for name, value in found.items():
        if value:
            raise Unsupported(f"file.copy.{name} is not supported")
    path = one.src if one.allowWildcard else _WILDCARDS.sub(r"\\\1", one.src)
    slash = "/" if one.dest.endswith(("/", "/.")) else ""
    return Copy(
        title=title or f"copy {one.src} {one.dest}",
        base=base,
        source=chosen(known, action.secondaryInput, "file.copy"),
        paths=(path,),
        destination=posixpath.normpath("/" + one.dest).replace("//", "/").rstrip("/") + slash or "/",
        owner=_owner(one.owner, action, "copy"),
        mode=one.modeStr or ("" if one.mode < 0 else f"{one.mode & 0o7777:o}"),
        exclude=tuple(one.exclude_patterns),
        unpack=one.attemptUnpackDockerCompatibility,
        whole=not one.dirCopyContents,
        follow=one.followSymlink,
    )


def _owner(owner: wire.ChownOpt, action: wire.FileAction, what: str) -> str:
    """As `--chown` has it. Names are looked up in the tree that is changed."""
    user, group = _who(owner.user, action, what), _who(owner.group, action, what)
    if not user and not group:
        return ""
    return f"{user or 0}:{group}" if group else user


def _who(who: wire.UserOpt, action: wire.FileAction, what: str) -> str:
    match who.WhichOneof("user"):
        case "byID":
            return str(who.byID)
        case "byName":
            if who.byName.input != action.input:
                raise Unsupported(f"file.{what}.owner: names of another tree than the changed one are not supported")
            return who.byName.name
    return ""


def _check_time(timestamp: int, what: str) -> None:
    if timestamp not in (-1, 0):
        raise Unsupported(f"file.{what}.timestamp is not supported: times are those of the build (SOURCE_DATE_EPOCH)")
