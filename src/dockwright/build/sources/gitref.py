"""What text names a git repository, and what it says of it: BuildKit's forms, with a fragment or a query.

https://host/repo.git#REF:SUBDIR        http as well; the path has to end with .git
git@host:path#REF:SUBDIR                any user; also ssh://..., git://...
...?ref=|tag=|branch=|subdir=|checksum=|commit=|keep-git-dir=|submodules=|mtime=|fetch-by-commit=
github.com/owner/repo                   of a build's context alone: elsewhere it is a path
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

from dockwright.errors import Invalid

_SCHEME = re.compile(r"([a-zA-Z0-9]+)://")
_SCP = re.compile(r"([a-zA-Z0-9_-]+)@([a-zA-Z0-9.-]+):(.*?)(?:\?(.*?))?(?:#(.*))?", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-fA-F]{1,64}")
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_SWITCHES = {"keep-git-dir": "keep_git_dir", "submodules": "submodules", "fetch-by-commit": "fetch_by_commit"}
_PREFIXES = {"tag": "refs/tags/", "branch": "refs/heads/"}
_TEXTS = {"ref": "ref", "subdir": "subdir", "checksum": "checksum", "commit": "checksum", "mtime": "mtime"}


@dataclass(frozen=True)
class GitRef:
    """A tree of a repository. `remote` is what git is given; None where nothing was said. `subdir` has no slash around it.

    `known_hosts` are the keys of ssh servers, in ssh's own form, where whoever builds knows them: no others are taken then.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    mtime: str = "checkout"
    fetch_by_commit: bool = False
    known_hosts: str = ""

    @property
    def shown(self) -> str:
        """Without a password in it: for people."""
        fragment = f"#{self.ref}" + (f":{self.subdir}" if self.subdir else "") if self.ref or self.subdir else ""
        return redacted(self.remote) + fragment


def parse(text: str, *, context: bool = False, files: bool = False) -> GitRef | None:
    """What `text` says; None when it names no repository. `context` takes `github.com/...`, `files` file:// as well.

    Raises `Invalid` for a repository with a query, a reference or a directory that cannot be.
    """
    if text.startswith(("./", "../")):
        return None
    if context and text.startswith("github.com/"):
        text = f"https://{text}"
        return _of_url(text)
    if scheme := _SCHEME.match(text):
        name = scheme[1].lower()
        if name in ("ssh", "git") or (name == "file" and files):
            return _of_url(text)
        if name in ("http", "https") and _path(text).endswith(".git"):
            return _of_url(text)
        return None
    found = _SCP.fullmatch(text)
    if found is None:
        return None
    user, host, path, query, fragment = found.groups()
    return _read(f"{user}@{host}:{path}", query or "", fragment or "")


def is_commit(ref: str) -> bool:
    """Whether it is a whole commit ID."""
    return _COMMIT.fullmatch(ref) is not None


def checked_commit(text: str) -> str:
    """The beginning of a commit's ID. Raises `Invalid`."""
    if text and not _HEX.fullmatch(text):
        raise Invalid(f"invalid checksum {text} for Git URL, expected hex commit hash")
    return text


def redacted(url: str) -> str:
    """The address without a password in it."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:xxxxx@", url)


def _path(text: str) -> str:
    try:
        return urlsplit(text).path
    except ValueError:
        return ""


def _of_url(text: str) -> GitRef:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise Invalid(f"invalid git address {redacted(text)}: {error}") from None
    return _read(parts._replace(query="", fragment="").geturl(), parts.query, parts.fragment)


def _read(remote: str, query: str, fragment: str) -> GitRef:
    ref, _, subdir = fragment.partition(":")
    found = GitRef(remote, ref, _clean(subdir))
    for key, given in parse_qs(query, keep_blank_values=True).items():
        if len(given) > 1:
            raise Invalid(f'query "{key}" has multiple values')
        found = _with(found, key, given[0])
    if found.ref.startswith("-") or re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.", found.ref):
        raise Invalid(f"invalid git reference {found.ref!r}")
    checked_commit(found.checksum)
    if remote.startswith("-"):
        raise Invalid(f"invalid git address {remote!r}")
    if found.fetch_by_commit and not (is_commit(found.checksum) or is_commit(found.ref)):
        raise Invalid("fetch-by-commit requires a checksum or a commit SHA ref, in full")
    return found


def _with(found: GitRef, key: str, value: str) -> GitRef:
    """`found` with what one part of the query says."""
    if key in _SWITCHES:
        if value not in ("", *_TRUE, *_FALSE):
            raise Invalid(f"invalid {key} value: {value!r}")
        changes: dict[str, bool] = {_SWITCHES[key]: value not in _FALSE}
        return replace(found, **changes)  # type: ignore[arg-type]
    if key not in _TEXTS and key not in _PREFIXES:
        raise Invalid(f'unexpected query "{key}"')
    if not value:
        raise Invalid(f'query "{key}" has no value')
    if key == "mtime" and value not in ("checkout", "commit"):
        raise Invalid(f'invalid mtime value: {value!r} (must be "checkout" or "commit")')
    if key in _PREFIXES and not value.startswith(_PREFIXES[key]):
        value = _PREFIXES[key] + value
    name = _TEXTS.get(key, "ref")
    if name == "subdir":
        value = _clean(value)
    if name in ("ref", "subdir") and getattr(found, name) not in ("", value):
        raise Invalid(f"{name} conflicts: {getattr(found, name)!r} vs {value!r}")
    changed: dict[str, str] = {name: value}
    return replace(found, **changed)  # type: ignore[arg-type]


def _clean(subdir: str) -> str:
    return posixpath.normpath("/" + subdir).strip("/")
