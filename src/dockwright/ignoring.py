"""Which paths a `.dockerignore` leaves out, and which `COPY` wildcards mean: Go's `filepath.Match` with `**`.

Dockerfile reference, ".dockerignore file" and "COPY".
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from dockwright.errors import Invalid


@dataclass(frozen=True)
class Pattern:
    """One line of an ignore file; `negated` when it takes paths back in (`!`). `regex` is of paths it means and all below."""

    text: str
    negated: bool
    regex: re.Pattern[str]


class Patterns:
    """The lines of an ignore file. The last one that matches a path, or a directory above it, decides."""

    def __init__(self, patterns: list[Pattern]) -> None:
        self._patterns = patterns
        self._exceptions = any(pattern.negated for pattern in patterns)
        # Where nothing is taken back in, the order is no matter: one question instead of many.
        self._together = re.compile("|".join(pattern.regex.pattern for pattern in patterns) or "(?!)", re.DOTALL)

    @property
    def has_exceptions(self) -> bool:
        """Whether some pattern takes paths back in: then a directory that matches has to be looked into all the same."""
        return self._exceptions

    @property
    def lines(self) -> list[str]:
        """The patterns as one would write them."""
        return [f"{'!' if pattern.negated else ''}{pattern.text}" for pattern in self._patterns]

    def matches(self, path: str) -> bool:
        """Whether `path`, relative and clean, is left out."""
        if not self._exceptions:
            return self._together.fullmatch(path) is not None
        matched = False
        for pattern in self._patterns:
            if pattern.negated == matched and pattern.regex.fullmatch(path):
                matched = not pattern.negated
        return matched

    def may_hold_exceptions(self, directory: str) -> bool:
        """Whether something below `directory`, which is left out, may be taken back in."""
        below = directory + "/"
        return any(
            pattern.negated and (pattern.text.startswith(below) or not _literal_head(pattern.text, below))
            for pattern in self._patterns
        )


def read_ignore_file(text: str) -> Patterns:
    """The patterns of a `.dockerignore`. Raises `Invalid` for one that is none, with its line."""
    found = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if line.startswith("#"):
            continue
        try:
            if (pattern := parse(line)) is not None:
                found.append(pattern)
        except Invalid as error:
            raise Invalid(f"line {number} of the ignore file: {error}") from None
    return Patterns(found)


def parse(line: str) -> Pattern | None:
    """One pattern; None for a blank line. Raises `Invalid`."""
    text = line.strip()
    negated = text.startswith("!")
    text = text[1:].strip() if negated else text
    if not text:
        if negated:
            raise Invalid('illegal exclusion pattern: "!"')
        return None
    text = posixpath.normpath(text)
    while len(text) > 1 and text.startswith("/"):
        text = text[1:]
    return Pattern(text, negated, re.compile(f"(?:{_regex(text, deep=True)})(?:/.*)?", re.DOTALL))


def match(pattern: str, name: str) -> bool:
    """Whether the path `name` matches the wildcard `pattern`, part by part: `*` and `?` stop at a slash. Raises `Invalid`."""
    return re.compile(_regex(pattern, deep=False), re.DOTALL).fullmatch(name) is not None


def has_wildcard(path: str) -> bool:
    """Whether `path` has an unescaped wildcard."""
    return re.search(r"(?<!\\)(?:\\\\)*[*?\[]", path) is not None


def _regex(pattern: str, *, deep: bool) -> str:
    result, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if deep and character == "*" and pattern[position : position + 1] == "*":
            position += 1
            if pattern[position : position + 1] == "/":
                position += 1
            result += ".*" if position >= len(pattern) else "(?:.*/)?"
        elif character == "*":
            result += "[^/]*"
        elif character == "?":
            result += "[^/]"
        elif character == "[":
            group, position = _group(pattern, position)
            result += group
        elif character == "\\":
            if position >= len(pattern):
                raise Invalid(f"syntax error in pattern {pattern!r}: nothing follows the backslash")
            result += re.escape(pattern[position])
            position += 1
        else:
            result += re.escape(character)
    return result


def _group(pattern: str, position: int) -> tuple[str, int]:
    """A character class from behind its bracket on, and where it ends."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while position < len(pattern) and (pattern[position] != "]" or not ranges):
        low, position = _class_character(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _class_character(pattern, position + 1)
        if low > high:
            raise Invalid(f"syntax error in pattern {pattern!r}: the range {low}-{high} is empty")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    if position >= len(pattern):
        raise Invalid(f"syntax error in pattern {pattern!r}: no ] for its [")
    # As in Go, a negated class may not match the separator of path parts.
    return (f"[^/{''.join(ranges)}]" if negated else f"(?!/)[{''.join(ranges)}]"), position + 1


def _class_character(pattern: str, position: int) -> tuple[str, int]:
    if position < len(pattern) and pattern[position] == "\\":
        position += 1
    elif position < len(pattern) and pattern[position] in "-]":
        raise Invalid(f"syntax error in pattern {pattern!r}")
    if position >= len(pattern):
        raise Invalid(f"syntax error in pattern {pattern!r}: no ] for its [")
    return pattern[position], position + 1


def _literal_head(pattern: str, below: str) -> bool:
    """Whether the part of `pattern` before its first wildcard rules out everything under `below`."""
    head = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
    return not (below.startswith(head) or head.startswith(below))
