"""Who a process runs as: Docker's `--user` looked up in the container's own /etc/passwd and /etc/group."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from dockwright import rooted
from dockwright.errors import Invalid
from dockwright.units import natural

_MAX_ID = 2**31 - 1
_NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True)
class User:
    """A resolved user: ids, supplementary group ids (the primary one first, as Docker has it), home directory."""

    uid: int
    gid: int
    groups: list[int] = field(default_factory=list)
    home: str = "/"


def resolve(root: Path, user: str, group_add: list[str]) -> User:
    """Resolve `name|uid[:group|gid]` and `--group-add` names or ids below `root`.

    A numeric user need not exist. Raises `Invalid` for a name that does not. Supplementary groups of the user are taken
    from /etc/group only when no group is named, as Docker does.
    """
    passwd = [line.split(":") for line in _lines(root, "/etc/passwd")]
    groups = [line.split(":") for line in _lines(root, "/etc/group")]
    name, has_group, group = user.partition(":")
    entry = _find_user(passwd, name or "0")
    if entry is None and name and not _NUMBER.fullmatch(name):
        raise Invalid(f"unable to find user {name}: no matching entries in passwd file")
    uid = _number(entry[2]) if entry else _id(name or "0")
    gid = _number(entry[3]) if entry else 0
    home = entry[5] if entry and len(entry) > 5 and entry[5] else "/"
    listed: list[int] = []
    if has_group and group:
        gid = _group_id(groups, group)
    elif entry:
        members = (line for line in groups if len(line) > 3 and entry[0] in line[3].split(","))
        listed = [_number(line[2]) for line in members]
    listed += [_group_id(groups, extra) for extra in group_add]
    return User(uid, gid, list(dict.fromkeys((gid, *listed))), home)


def _lines(root: Path, path: str) -> list[str]:
    return rooted.read_file(root, path).decode("utf-8", "surrogateescape").splitlines()


def _find_user(passwd: list[list[str]], name: str) -> list[str] | None:
    usable = [line for line in passwd if len(line) >= 4]
    by_name = next((line for line in usable if line[0] == name), None)
    if by_name or natural(name) is None:
        return by_name
    return next((line for line in usable if line[2] == name), None)


def _group_id(groups: list[list[str]], name: str) -> int:
    for line in groups:
        if len(line) >= 3 and line[0] == name:
            return _number(line[2])
    if not _NUMBER.fullmatch(name):
        raise Invalid(f"unable to find group {name}: no matching entries in group file")
    return _id(name)


def _id(text: str) -> int:
    number = natural(text)
    if number is None or number > _MAX_ID:
        raise Invalid(f"uids and gids must be in range 0-{_MAX_ID}")
    return number


def _number(text: str) -> int:
    return natural(text) or 0
