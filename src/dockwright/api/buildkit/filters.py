"""Filters as containerd writes them, with which BuildKit's clients choose: `type==regular,inuse`, `labels."a.b"!=x`, `id~=^ab`.

Conditions with commas between them all hold; of several filters one does. (containerd's package `filters`)
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence

from dockwright.errors import Invalid

# The value of a field; None where it is not there.
Fields = Mapping[str, str | None]
Filter = Callable[[Fields], bool]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_CONDITION = re.compile(
    rf"\s*(?P<path>(?:{_QUOTED}|[\w.-])+)\s*"
    rf"(?:(?P<operator>==|!=|~==?|<=|>=|<|>)\s*(?P<value>{_QUOTED}|/(?:[^/\\]|\\.)*/|\|(?:[^|\\]|\\.)*\||(?!\x22)[^,]*?))?\s*(?:,|$)"
)
_COMPARED: Mapping[str, Callable[[str, str], bool]] = {"==": operator.eq, "!=": operator.ne}


def parse(texts: Sequence[str]) -> Filter:
    """What holds where one of `texts` does; without any, always. Raises `Invalid`."""
    filters = [_filter(text) for text in texts if text.strip()]
    return lambda fields: not filters or any(one(fields) for one in filters)


def conditions(text: str) -> list[tuple[str, str, str]]:
    """The conditions of one filter: a field, an operator (empty: it is there), a value. Raises `Invalid`."""
    found, at = [], 0
    while at < len(text):
        match = _CONDITION.match(text, at)
        if match is None:
            raise Invalid(f"invalid filter {text!r} at {text[at:]!r}: FIELD, FIELD==VALUE, != or ~= is wanted")
        path = "".join(_plain(part) for part in re.findall(rf"{_QUOTED}|[^\"]+", match["path"]))
        # buildx before 0.15 writes `~==`.
        operation = (match["operator"] or "").replace("~==", "~=")
        found.append((path, operation, _plain(match["value"] or "")))
        at = match.end()
    return found


def _filter(text: str) -> Filter:
    tests = [_test(*condition) for condition in conditions(text)]
    return lambda fields: all(test(fields) for test in tests)


def _test(field: str, operation: str, value: str) -> Filter:
    if not operation:
        return lambda fields: fields.get(field) is not None
    if operation == "~=":
        try:
            wanted = re.compile(value)
        except re.error as error:
            raise Invalid(f"invalid filter {field}~={value}: {error}") from None
        return lambda fields: wanted.search(fields.get(field) or "") is not None
    if operation not in _COMPARED:
        raise Invalid(f"invalid filter {field}{operation}{value}: ==, != or ~= is wanted")
    compare = _COMPARED[operation]
    return lambda fields: compare(fields.get(field) or "", value)


def _plain(text: str) -> str:
    """Without quotes."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in '"/|':
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] == '"' else text[1:-1]
    return text
