"""`--mount=type=...,...` of RUN: bind, cache, tmpfs, secret and ssh mounts, with every option of the reference."""

from __future__ import annotations

import csv
import difflib
import posixpath
from dataclasses import dataclass

from dockwright.errors import DockwrightError, Invalid
from dockwright.units import parse_size

_COMMON = {"type", "target"}
_KEYS = {
    "bind": {"source", "from", "readwrite", "readonly"},
    "cache": {"id", "source", "from", "readonly", "readwrite", "sharing", "mode", "uid", "gid"},
    "tmpfs": {"size", "readonly", "readwrite"},
    "secret": {"id", "source", "required", "mode", "uid", "gid", "env", "readonly"},
    "ssh": {"id", "required", "mode", "uid", "gid", "readonly"},
}
_SPELLINGS = {"dst": "target", "destination": "target", "src": "source", "ro": "readonly", "rw": "readwrite"}
_SWITCHES = {"readonly", "readwrite", "required"}
_TRUE, _FALSE = {"1", "t", "true"}, {"0", "f", "false"}
SHARING = ("shared", "private", "locked")


@dataclass(frozen=True)
class Mount:
    """One mount of a RUN. Numbers are -1, and texts empty, where nothing was said; files without a target are at the step's
    working directory."""

    kind: str
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    env: str = ""
    readonly: bool = True
    required: bool = False
    sharing: str = "shared"
    mode: int = -1
    uid: int = -1
    gid: int = -1
    size_bytes: int = -1


def parse(text: str) -> Mount:
    """The mount that the flag's value describes. Raises `Invalid`."""
    options = _options(text)
    kind = options.pop("type", "bind").lower()
    if kind not in _KEYS:
        near = difflib.get_close_matches(kind, _KEYS, 1)
        raise Invalid(f'unsupported mount type "{kind}"' + (f", did you mean {near[0]}?" if near else ""))
    for key in options:
        if key not in _KEYS[kind] | _COMMON:
            near = difflib.get_close_matches(key, sorted(_KEYS[kind] | _COMMON), 1)
            told = f", did you mean {near[0]}?" if near else ""
            raise Invalid(f"unexpected key '{key}' for mount type '{kind}'{told}")
    if kind == "secret" and "source" in options and "id" in options:
        raise Invalid("both source and id can't be set")
    mount = _build(kind, options)
    if mount.target and posixpath.normpath(mount.target).strip("/") == "":
        raise Invalid(f'invalid mount target "{mount.target}"')
    if kind == "secret" and not (mount.id or mount.source or mount.target or mount.env):
        raise Invalid("a mount of type secret needs an id, a target or an env")
    return mount


def _build(kind: str, options: dict[str, str]) -> Mount:
    sharing = options.get("sharing", "shared").lower()
    if sharing not in SHARING:
        raise Invalid(f'unsupported sharing value "{sharing}": it is one of {", ".join(SHARING)}')
    writable = _switch(options, "readwrite", default=kind != "bind")
    return Mount(
        kind,
        options.get("target", ""),
        options.get("source", ""),
        options.get("from", ""),
        options.get("id", ""),
        options.get("env", ""),
        readonly=_switch(options, "readonly", default=not writable),
        required=_switch(options, "required", default=False),
        sharing=sharing,
        mode=_number(options, "mode", 8),
        uid=_number(options, "uid", 10),
        gid=_number(options, "gid", 10),
        size_bytes=_size(options),
    )


def check_unexpanded(text: str) -> None:
    """Raises `Invalid` for a variable where there can be none, and for what is wrong where there is none at all."""
    if "$" not in text:
        parse(text)
        return
    for part in _parts(text):
        name, _, value = part.partition("=")
        if name.strip().lower() == "from" and "$" in value[:-1]:
            raise Invalid("'from' doesn't support variable expansion, define alias stage instead")


def _parts(text: str) -> list[str]:
    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise Invalid(f"mount options cannot be read: {text!r}") from None
    return row


def _options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in _parts(text) or [""]:
        name, equals, value = part.partition("=")
        key = _SPELLINGS.get(name.strip().lower(), name.strip().lower())
        if not equals and key not in _SWITCHES:
            raise Invalid(f"invalid field '{part}' must be a key=value pair")
        options[key] = value if equals else "true"
    return options


def _switch(options: dict[str, str], key: str, *, default: bool) -> bool:
    value = options.get(key)
    if value is None:
        return default
    if value.lower() not in _TRUE | _FALSE:
        raise Invalid(f"invalid value for {key}: {value}")
    return value.lower() in _TRUE


def _number(options: dict[str, str], key: str, base: int) -> int:
    if key not in options:
        return -1
    value = options[key]
    try:
        if not value.isascii() or not value.isdigit():
            raise ValueError(value)
        return int(value, base)
    except ValueError:
        raise Invalid(
            f"invalid value {value!r} for {key}: {'an octal' if base == 8 else 'a'} number is wanted"
        ) from None


def _size(options: dict[str, str]) -> int:
    if "size" not in options:
        return -1
    try:
        return parse_size(options["size"])
    except DockwrightError:
        raise Invalid(f"invalid value for size: {options['size']}") from None
