"""Digests."""

from __future__ import annotations

import hashlib

import pytest

from dockwright.errors import Corrupt, Invalid
from dockwright.oci import chain_ids, digest
from dockwright.oci.digest import Digest


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "a" * 63, "sha256:" + "A" * 64, "md5:" + "a" * 32, "a" * 64, "../x:aa"]
)
def test_what_is_no_digest_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        digest.parse(text)


def test_content_is_held_against_its_digest() -> None:
    named = Digest("sha512:" + hashlib.sha512(b"x").hexdigest())
    assert digest.verify(named, b"x") == b"x"
    with pytest.raises(Corrupt):
        digest.verify(named, b"y")


def test_chain_ids_follow_the_specification() -> None:
    a, b = digest.of(b"a"), digest.of(b"b")
    assert chain_ids([a, b]) == [a, digest.of(f"{a} {b}".encode())]
    assert chain_ids([]) == []
