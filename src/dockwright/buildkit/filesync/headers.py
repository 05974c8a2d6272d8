"""What a receiver wants, in the metadata of its call. A list with other than ASCII characters is URL-quoted, and says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, unquote_plus

from multidict import MultiDict

_INCLUDE, _EXCLUDE, _FOLLOW, _NAME = "include-patterns", "exclude-patterns", "followpaths", "dir-name"
_ENCODED = "-encoded"


@dataclass(frozen=True)
class Wanted:
    """`name` is the directory as its owner calls it (`context`, `dockerfile`). Empty lists leave nothing out.

    `include` and `exclude` are lines as of a `.dockerignore`; of `follow` the links are followed, wherever in the directory
    they lead.
    """

    name: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()

    def metadata(self) -> MultiDict[str]:
        """For the call."""
        found: MultiDict[str] = MultiDict()
        for key, values in (
            (_NAME, (self.name,)),
            (_INCLUDE, self.include),
            (_EXCLUDE, self.exclude),
            (_FOLLOW, self.follow),
        ):
            add(found, key, values)
        return found

    @classmethod
    def of(cls, metadata: MultiDict[str] | Mapping[str, str]) -> Wanted:
        """As a call says it."""
        given = MultiDict(metadata)
        (name,) = values(given, _NAME) or ("",)
        return cls(name, values(given, _INCLUDE), values(given, _EXCLUDE), values(given, _FOLLOW))


def add(metadata: MultiDict[str], key: str, values: Iterable[str]) -> None:
    """A list under `key`."""
    texts = list(values)
    encoded = not all(text.isascii() for text in texts)
    for text in texts:
        metadata.add(key, quote_plus(text) if encoded else text)
    if encoded:
        metadata.add(key + _ENCODED, "1")


def values(metadata: MultiDict[str], key: str) -> tuple[str, ...]:
    """The list under `key`."""
    encoded = metadata.get(key + _ENCODED, "").lower() in ("1", "t", "true")
    return tuple(unquote_plus(text) if encoded else text for text in metadata.getall(key, []))
