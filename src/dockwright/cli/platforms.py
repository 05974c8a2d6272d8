"""`--platform linux/arm64/v8` as the API's JSON of an OCI platform."""

from __future__ import annotations

from dockwright import errors
from dockwright.client import wirejson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "armhf": "arm",
    "armel": "arm",
}


def as_json(text: str) -> str:
    """Empty for an empty text. Raises `errors.Invalid`."""
    if not text:
        return ""
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(parts):
        raise errors.Invalid(f'invalid platform: "{text}": cannot parse platform specifier')
    if len(parts) == 1:
        parts.insert(0, "linux")
    found = {"architecture": _ARCHITECTURES.get(parts[1], parts[1]), "os": parts[0]}
    if len(parts) == 3:
        found["variant"] = parts[2]
    return wirejson.encode(found)


def all_as_json(texts: Iterable[str]) -> list[str]:
    return [as_json(text) for text in texts]
