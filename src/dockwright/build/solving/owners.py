"""Whose files are: `--chown`, in numbers."""

from __future__ import annotations

import re
from pathlib import Path

from dockwright.container.spec import users


def is_numeric(owner: str) -> bool:
    """Whether `user[:group]` has no names in it."""
    return re.fullmatch(r"(\d+(:\d+)?)?", owner, re.ASCII) is not None


def owner_of(text: str, target: Path) -> tuple[int, int] | None:
    """`user[:group]`, names looked up in the tree at `target`. Blocking.

    Without a group it is the one that the user has there by name; of a user by number it is that number. None for no text.
    Raises `Invalid`.
    """
    if not text:
        return None
    user = users.resolve(target, text, [])
    return user.uid, (user.uid if re.fullmatch(r"[0-9]+", text) else user.gid)
