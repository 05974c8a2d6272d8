"""One request of the Engine API as a value: both faces send it, neither knows what it means."""

from __future__ import annotations

from dockwright.client import wirejson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


def quote(text: str, safe: bytes = b"") -> str:
    """`text` percent-encoded for one path segment or query value (RFC 3986, 2.3)."""
    data = text.encode("utf-8", "surrogateescape")
    if _UNRESERVED.issuperset(data):
        return text
    return "".join(chr(c) if c in _UNRESERVED or c in safe else f"%{c:02X}" for c in data)


class Call:
    """A request without its version prefix.

    `body` is bytes, or an iterable of bytes that is sent chunked; `hijack` asks for a two-way stream. `stream` says that the
    answer is long or endless: no time limit applies once its head is in.
    """

    __slots__ = ("body", "headers", "hijack", "method", "target")

    def __init__(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, object]] = (),
        *,
        json: Any = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: Iterable[tuple[str, str]] = (),
        hijack: bool = False,
    ) -> None:
        self.method = method
        self.target = path + _encode_query(query)
        self.headers = list(headers)
        self.hijack = hijack
        self.body = body
        if json is not None:
            self.body = wirejson.encode(json).encode("utf-8", "surrogateescape")
            self.headers.append(("Content-Type", "application/json"))

    def __repr__(self) -> str:
        return f"Call({self.method} {self.target})"


def _encode_query(query: Iterable[tuple[str, object]]) -> str:
    """Values as the engine reads them: `None`, `False` and empty text are left out, `True` is 1, a list repeats its key."""
    parts = []
    for key, value in query:
        values = value if isinstance(value, list | tuple) else (value,)
        for one in values:
            if one is None or one is False or one == "":
                continue
            parts.append(f"{key}={quote('1' if one is True else str(one))}")
    return "?" + "&".join(parts) if parts else ""


def encode_filters(filters: Mapping[str, Iterable[str]] | None) -> str:
    """Filters as `{"label":{"a=b":true}}`, the form every engine since API 1.22 reads; empty when there are none."""
    if not filters:
        return ""
    return wirejson.encode({name: dict.fromkeys(values, True) for name, values in filters.items()})
