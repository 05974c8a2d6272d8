"""Digests: `algorithm:hex`, the names of immutable content (OCI image-spec 1.1, descriptor.md, Digests)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NewType

from dockwright.errors import Corrupt, Invalid

if TYPE_CHECKING:
    from hashlib import _Hash

Digest = NewType("Digest", str)

_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
_FORM = re.compile(r"([a-z0-9]+):([0-9a-f]+)", re.ASCII)


def parse(text: str) -> Digest:
    """`text` as a digest. Raises `Invalid` when its form, algorithm or length is wrong."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise Invalid("invalid digest format")
    length = _HEX_LENGTH.get(match[1])
    if length is None:
        raise Invalid(f"unsupported digest algorithm {match[1]!r}")
    if len(match[2]) != length:
        raise Invalid("invalid digest format: wrong length")
    return Digest(text)


def algorithm(digest: Digest) -> str:
    """The part before the colon, as `hashlib` names it."""
    return digest.partition(":")[0]


def encoded(digest: Digest) -> str:
    """The hexadecimal part after the colon."""
    return digest.partition(":")[2]


def of(content: bytes) -> Digest:
    """The sha256 digest of `content`."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def hasher(digest: Digest | None = None) -> _Hash:
    """A fresh hash object of the digest's algorithm; sha256 without one."""
    return hashlib.new(algorithm(digest) if digest else "sha256", usedforsecurity=True)


def finished(state: _Hash) -> Digest:
    """The digest of everything `state` was fed."""
    return Digest(f"{state.name}:{state.hexdigest()}")


def verify(digest: Digest, content: bytes) -> bytes:
    """`content` itself. Raises `Corrupt` when it is not what `digest` names."""
    state = hasher(digest)
    state.update(content)
    if (got := finished(state)) != digest:
        raise Corrupt(f"content of {digest} has the digest {got}")
    return content
