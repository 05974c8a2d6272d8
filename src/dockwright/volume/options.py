"""The options of the local driver: `type`, `o`, `device` as mount(8) has them, and `size`. Parsing alone; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from dockwright.errors import Invalid

_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_KNOWN = frozenset((*_NEEDS, "size"))

# Options of mount(8) that are flags of mount(2), <linux/mount.h>: (flag, whether the word sets or clears it).
_FLAGS: dict[str, tuple[int, bool]] = {
    "defaults": (0, True),
    "ro": (1, True),
    "rw": (1, False),
    "nosuid": (2, True),
    "suid": (2, False),
    "nodev": (4, True),
    "dev": (4, False),
    "noexec": (8, True),
    "exec": (8, False),
    "sync": (16, True),
    "async": (16, False),
    "remount": (32, True),
    "mand": (64, True),
    "nomand": (64, False),
    "dirsync": (128, True),
    "noatime": (1024, True),
    "atime": (1024, False),
    "nodiratime": (2048, True),
    "diratime": (2048, False),
    "bind": (4096, True),
    "rbind": (4096 | 16384, True),
    "relatime": (1 << 21, True),
    "norelatime": (1 << 21, False),
    "strictatime": (1 << 24, True),
    "nostrictatime": (1 << 24, False),
}
_PROPAGATION = {
    "unbindable": 1 << 17,
    "runbindable": 1 << 17 | 16384,
    "private": 1 << 18,
    "rprivate": 1 << 18 | 16384,
    "slave": 1 << 19,
    "rslave": 1 << 19 | 16384,
    "shared": 1 << 20,
    "rshared": 1 << 20 | 16384,
}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgtp]?)(?:i?b)?", re.IGNORECASE)


class MountPlan(NamedTuple):
    """One mount(2). `data` is the file system's own options; `propagation` a second call's flags, 0 for none."""

    type: str
    device: str
    flags: int
    data: str
    propagation: int = 0


class LocalOptions(NamedTuple):
    """What the options ask for: a mount, a limit in bytes (0: none), or nothing."""

    plan: MountPlan | None = None
    size_bytes: int = 0


def parse(options: Mapping[str, str]) -> LocalOptions:
    """Raises `Invalid` with Docker's wording for an unknown option and for one that lacks its companion."""
    for name in options:
        if name not in _KNOWN:
            raise Invalid(f'invalid option: "{name}"')
        if "\0" in options[name]:
            raise Invalid(f'invalid option: "{name}" holds a NUL')
    for name, needed in _NEEDS.items():
        if name in options:
            for other in needed:
                if other not in options:
                    raise Invalid(f'missing required option: "{other}"')
    size = _bytes(options["size"]) if "size" in options else 0
    return LocalOptions(_plan(options) if "type" in options else None, size)


def hidden(data: str) -> str:
    """Mount options for a message: without a password."""
    return ",".join("password=********" if word.startswith("password=") else word for word in data.split(","))


def _plan(options: Mapping[str, str]) -> MountPlan:
    flags = propagation = 0
    data = []
    for word in filter(None, options.get("o", "").split(",")):
        if word in _FLAGS:
            flag, on = _FLAGS[word]
            flags = flags | flag if on else flags & ~flag
        elif word in _PROPAGATION:
            propagation = _PROPAGATION[word]
        else:
            data.append(word)
    return MountPlan(options["type"], options["device"], flags, ",".join(data), propagation)


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise Invalid(f"invalid size: '{text}'")
    size = int(float(match[1]) * _UNITS[match[2].lower()])
    if size <= 0:
        raise Invalid(f"invalid size: '{text}': it must be more than nothing")
    return size
