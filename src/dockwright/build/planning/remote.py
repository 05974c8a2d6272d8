"""The sources of ADD that are no files of the context: repositories, and downloads."""

from __future__ import annotations

from dataclasses import replace

from dockwright.build.dockerfile.instructions.add import Add
from dockwright.build.planning.graph import Download, Repository, Vertex
from dockwright.build.sources import gitref
from dockwright.build.sources.downloads import checked_address, checked_checksum, is_url
from dockwright.build.sources.gitref import GitRef, redacted
from dockwright.errors import Invalid


def is_remote(path: str, *, files: bool) -> bool:
    """Whether `path` is no path. `files` takes repositories of this host for what they are."""
    try:
        return is_url(path) or gitref.parse(path, files=files) is not None
    except Invalid:
        return True


def vertices(one: Add, *, files: bool) -> dict[str, Vertex]:
    """What to fetch, by the path that names it. Raises `DockerfileError`."""
    found: dict[str, Vertex] = {}
    lines = (one.line.start, one.line.end)
    try:
        for path in one.paths:
            ref = gitref.parse(path, files=files)
            if ref is not None:
                ref = _as_asked(ref, one)
                found[path] = Repository(title=f"ADD {ref.shown}", ref=ref, lines=lines)
            elif is_url(path):
                url, checksum = checked_address(path), checked_checksum(one.checksum)
                found[path] = Download(title=f"ADD {redacted(path)}", url=url, checksum=checksum, lines=lines)
    except Invalid as error:
        raise one.line.error(str(error)) from None
    if one.checksum and len(one.paths) != 1:
        raise one.line.error("checksum can't be specified for multiple sources")
    if one.checksum and not found:
        raise one.line.error("checksum requires HTTP(S) or Git sources")
    return found


def _as_asked(ref: GitRef, one: Add) -> GitRef:
    """The repository with what the flags say of it. Raises `Invalid` where the address says something else."""
    if None not in (one.keep_git_dir, ref.keep_git_dir) and one.keep_git_dir != ref.keep_git_dir:
        raise Invalid("inconsistent keep-git-dir configuration")
    if one.checksum and ref.checksum not in ("", one.checksum):
        raise Invalid(f"checksum mismatch {one.checksum!r} != {ref.checksum!r}")
    keep = ref.keep_git_dir if one.keep_git_dir is None else one.keep_git_dir
    return replace(ref, keep_git_dir=keep, checksum=gitref.checked_commit(one.checksum or ref.checksum))
