"""`--secret` and `--ssh`: what a build may use and never keeps."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from dockwright import errors
from dockwright.cli.building.fields import pairs

LIMIT_BYTES = 500 * 1024


@dataclass(frozen=True)
class Secret:
    """Its content is that of a file, or of a variable of ours."""

    id: str
    file: str = ""
    variable: str = ""

    def read(self) -> bytes:
        """Blocking. Raises `OSError`, and `errors.Invalid` where it is too long."""
        if self.variable:
            return os.environb.get(os.fsencode(self.variable), b"")
        with open(self.file, "rb") as file:
            data = file.read(LIMIT_BYTES + 1)
        if len(data) > LIMIT_BYTES:
            raise errors.Invalid(f"secret {self.id} too big: {LIMIT_BYTES} bytes are the most")
        return data


def secrets(given: Iterable[str]) -> dict[str, Secret]:
    """`id=ID[,src=FILE|env=NAME]`; an ID alone is the variable of that name, else the file. Raises `errors.Invalid`."""
    found = {}
    for text in filter(None, given):
        one = _secret(text)
        if one.file and not os.path.exists(one.file):
            raise errors.Invalid(f"failed to stat {one.file}: no such file or directory")
        if one.file and os.path.getsize(one.file) > LIMIT_BYTES:
            raise errors.Invalid(f"secret {one.id} too big: {LIMIT_BYTES} bytes are the most")
        found[one.id] = one
    return found


def _secret(text: str) -> Secret:
    keys = pairs(text, "secret")
    if unknown := keys.keys() - {"type", "id", "source", "src", "env"}:
        raise errors.Invalid(f"unexpected key '{min(unknown)}' in '{text}'")
    kind, name = keys.get("type", ""), keys.get("id", "")
    file, variable = keys.get("source", keys.get("src", "")), keys.get("env", "")
    if kind not in ("", "file", "env"):
        raise errors.Invalid(f'unsupported secret type "{kind}"')
    if not name:
        raise errors.Invalid("secret missing ID")
    if kind == "env" and not variable:
        file, variable = "", file
    if not file and not variable:
        variable, file = (name, "") if name in os.environ else ("", name)
    return Secret(name, "" if variable else file, variable)


@dataclass(frozen=True)
class Agent:
    """An ssh agent: the socket of one that runs, or keys for one to be started."""

    id: str
    socket: str = ""
    keys: tuple[str, ...] = ()


def agents(given: Iterable[str]) -> dict[str, Agent]:
    """`default|ID[=SOCKET|KEY[,KEY]]`. Raises `errors.Invalid`."""
    found: dict[str, Agent] = {}
    for text in filter(None, given):
        name, _, rest = text.partition("=")
        name = name or "default"
        if name in found:
            raise errors.Invalid(f'duplicate agent ID "{name}"')
        found[name] = _agent(name, [path for path in rest.split(",") if path])
    return found


def _agent(name: str, paths: list[str]) -> Agent:
    if not paths:
        socket = os.environ.get("SSH_AUTH_SOCK", "")
        if not socket:
            raise errors.Invalid("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
        return Agent(name, socket)
    for path in paths:
        if not os.path.exists(path):
            raise errors.Invalid(f"ssh agent {name}: {path}: no such file or directory")
    sockets = [path for path in paths if not os.path.isfile(path)]
    if not sockets:
        return Agent(name, keys=tuple(paths))
    if len(paths) > 1:
        what = "only single socket allowed" if len(sockets) > 1 else "invalid combination of keys and sockets"
        raise errors.Invalid(f"ssh agent {name}: {what}")
    return Agent(name, sockets[0])
