"""Lines of a source file around the ones that are meant, as build tools print them under an error or a warning."""

from __future__ import annotations

from collections.abc import Iterable

_RULE = "--------------------"
# Lines shown around the ones that are meant: two around one line alone, one around several.
_AROUND_ONE, _AROUND_MANY = 4, 2


def excerpt(name: str, text: str, marked: Iterable[int]) -> str:
    """`name:line`, then the lines around `marked` (from 1) with `>>>` at those; empty where the file has no such line."""
    wanted = sorted(set(marked))
    lines = text.split("\n")
    if not wanted or not 1 <= wanted[0] <= len(lines):
        return ""
    first, last = _widened(wanted[0], min(wanted[-1], len(lines)), len(lines))
    shown = [
        f" {number:3} | {'>>>' if number in wanted else '   '} {lines[number - 1]}" for number in range(first, last + 1)
    ]
    return "\n".join([f"{name}:{wanted[0]}", _RULE, *shown, _RULE, ""])


def _widened(first: int, last: int, count: int) -> tuple[int, int]:
    room = _AROUND_ONE if first == last else _AROUND_MANY
    taken = 0
    while taken < room:
        if first > 1:
            first, taken = first - 1, taken + 1
        if last != count:
            last, taken = last + 1, taken + 1
        taken += 1
    return first, last
