"""The functions of a template: Go's own, and those Docker adds. Each takes values and returns one, or raises `CallError`."""

from __future__ import annotations

from dockwright.cli.template import printing
from dockwright.cli.template.errors import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Function = Callable[..., Any]


def truth(value: Any) -> bool:
    """Go's idea of true: not zero, not empty."""
    return bool(value)


def _text(value: Any) -> str:
    return printing.need_text(value, "string")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CallError(f"wrong type for value; expected int; got {printing.type_name(value)}")
    return value


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, list | tuple | dict):
        return len(value)
    if value is None:
        raise CallError("len of nil pointer")
    raise CallError(f"len of type {printing.type_name(value)}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, getattr(value, "zero", None))
        elif isinstance(value, list | tuple | str):
            if isinstance(key, bool) or not isinstance(key, int):
                raise CallError(f"cannot index slice/array with type {printing.type_name(key)}")
            if not 0 <= key < len(value):
                raise CallError(f"index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        elif value is None:
            raise CallError("index of untyped nil")
        else:
            raise CallError(f"can't index item of type {printing.type_name(value)}")
    return value


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, list | tuple | str):
        raise CallError(f"can't slice item of type {printing.type_name(value)}")
    numbers = [_whole(bound) for bound in bounds]
    start = numbers[0] if numbers else 0
    end = numbers[1] if len(numbers) > 1 else len(value)
    for number in (start, end):
        if not 0 <= number <= len(value):
            raise CallError(f"index out of range: {number}")
    if start > end:
        raise CallError(f"invalid slice index: {start} > {end}")
    return value[start:end]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "nil" if value is None or value is printing.NIL else "other"


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    for other in others:
        kinds = {_kind(first), _kind(other)}
        if "other" in kinds and "nil" not in kinds:
            raise CallError("non-comparable type" if len(kinds) == 1 else "incompatible types for comparison")
        if len(kinds) == 2 and "nil" not in kinds:
            raise CallError("incompatible types for comparison")
        if len(kinds) == 1 and ("nil" in kinds or first == other):
            return True
    return False


def _less(first: Any, second: Any) -> bool:
    kinds = {_kind(first), _kind(second)}
    if kinds not in ({"number"}, {"text"}):
        raise CallError("invalid type for comparison" if len(kinds) == 1 else "incompatible types for comparison")
    return bool(first < second)


def _join(elements: Any, separator: Any) -> str:
    if not isinstance(elements, list | tuple):
        raise CallError(f"wrong type for value; expected []string; got {printing.type_name(elements)}")
    return _text(separator).join(_text(one) for one in elements)


def _title(value: Any) -> str:
    """The first letter of each word; `str.title` would lower the others."""
    text = _text(value)
    return "".join(
        letter.upper() if not at or not (text[at - 1].isalnum() or text[at - 1] in "_'") else letter
        for at, letter in enumerate(text)
    )


def _pad(source: Any, before: Any, after: Any) -> str:
    text = _text(source)
    return " " * _whole(before) + text + " " * _whole(after) if text else text


def _truncate(source: Any, size: Any) -> str:
    return _text(source)[: _whole(size)]


def _html(*values: Any) -> str:
    text = printing.printed(values)
    for letter, entity in (
        ("&", "&amp;"),
        ('"', "&#34;"),
        ("'", "&#39;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("\0", "\ufffd"),
    ):
        text = text.replace(letter, entity)
    return text


def _js(*values: Any) -> str:
    table = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    text = printing.printed(values)
    return "".join(table.get(letter) or (f"\\u{ord(letter):04X}" if ord(letter) < 32 else letter) for letter in text)


def _urlquery(*values: Any) -> str:
    from dockwright.client.call import quote

    return quote(printing.printed(values), b" ").replace(" ", "+")


def _call(function: Any, *arguments: Any) -> Any:
    if not callable(function):
        raise CallError(f"non-function of type {printing.type_name(function)}")
    return function(*arguments)


FUNCTIONS: dict[str, Function] = {
    "call": _call,
    "eq": _equal,
    "ge": lambda a, b: not _less(a, b),
    "gt": lambda a, b: _less(b, a),
    "html": _html,
    "index": _index,
    "join": _join,
    "js": _js,
    "json": printing.to_json,
    "le": lambda a, b: not _less(b, a),
    "len": _length,
    "lower": lambda value: _text(value).lower(),
    "lt": _less,
    "ne": lambda a, b: not _equal(a, b),
    "not": lambda value: not truth(value),
    "pad": _pad,
    "print": lambda *values: printing.printed(values),
    "printf": lambda pattern, *values: printing.formatted(_text(pattern), values),
    "println": lambda *values: " ".join(printing.plain(value) for value in values) + "\n",
    "slice": _slice,
    "split": lambda value, separator: _text(value).split(_text(separator)) if separator else list(_text(value)),
    "title": _title,
    "truncate": _truncate,
    "upper": lambda value: _text(value).upper(),
    "urlquery": _urlquery,
}

SHORT_CIRCUIT = ("and", "or")

HEADER_FUNCTIONS: dict[str, Function] = {
    **FUNCTIONS,
    "json": lambda value: value,
    "split": lambda value, _separator: value,
    "join": lambda value, _separator: value,
    "title": lambda value: value,
    "lower": lambda value: value,
    "upper": lambda value: value,
    "truncate": lambda value, _size: value,
}
"""For the header line of `table TEMPLATE`: what would change a title leaves it alone."""
