"""Modes as `--chmod` has them: `755`, or symbolic as chmod(1) (`u=rwX,go=rX`, `g=u`, `a+x-w`)."""

from __future__ import annotations

import re
from collections.abc import Callable

from dockwright.errors import Invalid

# Whom it is about, and what changes for them, one after the other.
_CHANGE = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SYMBOLIC = re.compile(rf"([ugoa]*)((?:{_CHANGE.pattern.replace('(', '(?:')})+)")


def parse(text: str) -> Callable[[int, bool], int] | None:
    """What `text` makes of a mode, told whether it is a directory's; None for no text. Raises `Invalid`."""
    if not text:
        return None
    if text[0].isascii() and text[0].isdigit():
        if not re.fullmatch(r"0*[0-7]{1,4}", text):
            raise Invalid(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
        return lambda mode, is_directory: int(text, 8)
    clauses = [_SYMBOLIC.fullmatch(part) for part in text.split(",")]
    if not all(clauses):
        raise Invalid(f"invalid chmod parameter: '{text}'. it is an octal number, or symbolic as u=rwX,go=rX")
    changes = [
        (clause[1] or "a", how, what) for clause in clauses if clause for how, what in _CHANGE.findall(clause[2])
    ]

    def change(mode: int, is_directory: bool) -> int:
        for who, how, what in changes:
            mode = _changed(mode, is_directory, who, how, what)
        return mode

    return change


def on_the_way(text: str) -> int | None:
    """The mode of directories made on the way to the destination: BuildKit 0.25 gives them an octal one, no symbolic one."""
    return int(text, 8) & 0o777 if text[:1].isdigit() else None


def _changed(mode: int, is_directory: bool, who: str, how: str, what: str) -> int:
    """The mode after one change: letters of permissions, or one of `ugo` to take them from."""
    shifts = {"u": 6, "g": 3, "o": 0}
    if what in shifts:
        what = "".join(letter for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if mode >> shifts[what] & bit)
    bits = sum(4 * (letter == "r") + 2 * (letter == "w") for letter in set(what))
    if "x" in what or ("X" in what and (is_directory or mode & 0o111)):
        bits |= 1
    targets = "ugo" if "a" in who else who
    mask = sum(bits << shifts[one] for one in set(targets))
    special = (
        (0o4000 * ("s" in what and "u" in targets))
        | (0o2000 * ("s" in what and "g" in targets))
        | (0o1000 * ("t" in what))
    )
    if how == "=":
        cleared = sum(7 << shifts[one] for one in set(targets))
        return (mode & ~cleared) | mask | special
    return mode | mask | special if how == "+" else mode & ~(mask | special)
