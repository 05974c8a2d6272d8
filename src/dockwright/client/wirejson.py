"""JSON at C speed without the start-up cost of the `json` package.

`import json` brings `re`, `enum` and `functools` along: 7 ms, more than everything else a `ps` imports. The C scanner and
encoder under it need none of them. Where the interpreter has no `_json` (it is an implementation detail of CPython),
the standard package is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NotJson(ValueError):
    """The text is not one JSON value."""


_SPACE = " \t\n\r"


def _constant(name: str) -> float:
    return {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}[name]


def _default(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


class _ScannerSettings:
    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_constant)
    memo: dict[str, str] = {}


try:
    import _json

    _scan = _json.make_scanner(_ScannerSettings())  # type: ignore[arg-type]  # any object with its settings
    _encode = _json.make_encoder(None, _default, _json.encode_basestring, None, ":", ",", False, False, True)
    _encode_sorted = _json.make_encoder(None, _default, _json.encode_basestring, None, ":", ",", True, False, True)
except ImportError:  # pragma: no cover - not CPython
    from json import JSONDecoder, JSONEncoder

    _scan = JSONDecoder(strict=False).raw_decode  # type: ignore[assignment]

    def _encode(value: Any, _level: int) -> tuple[str, ...]:  # type: ignore[misc]
        return (JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode(value),)

    def _encode_sorted(value: Any, _level: int) -> tuple[str, ...]:  # type: ignore[misc]
        return (JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode(value),)


def decode(data: bytes | str) -> Any:
    """The one JSON value in `data`; raises `NotJson` for anything else."""
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError, RecursionError) as error:
        raise NotJson(f"not JSON: {text[:80]!r}") from error
    if end != len(text):
        raise NotJson(f"more than one JSON value: {text[end : end + 80]!r}")
    return value


def encode(value: Any) -> str:
    """`value` as compact JSON text, keys in their own order."""
    return "".join(_encode(value, 0))


def encode_sorted(value: Any) -> str:
    """`value` as compact JSON text, keys in alphabetical order as Go writes a map."""
    return "".join(_encode_sorted(value, 0))


class Stream:
    """JSON values one after another, as progress, events and stats arrive: bytes in, values out."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Any]:
        """The values completed by `data`; `b""` says that nothing more will come. Raises `NotJson`."""
        if not data:
            lines, self._rest = [self._rest], b""
        else:
            *lines, self._rest = (self._rest + data).split(b"\n")
        return [value for line in lines for value in _values(line)]


def _values(line: bytes) -> list[Any]:
    """Some endpoints (stats of old engines) write values with no line end between them."""
    text = line.decode("utf-8", "replace").strip(_SPACE)
    found, at = [], 0
    while at < len(text):
        try:
            value, at = _scan(text, at)
        except (StopIteration, ValueError, RecursionError) as error:
            raise NotJson(f"not JSON: {text[at : at + 80]!r}") from error
        found.append(value)
        while at < len(text) and text[at] in _SPACE:
            at += 1
    return found
