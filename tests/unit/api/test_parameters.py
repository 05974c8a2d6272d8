"""Names, tags and platforms as clients send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.api import fetching, parameters
from dockwright.errors import Invalid
from dockwright.oci import Platform

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        ("busybox", "", "docker.io/library/busybox"),
        ("busybox", "1", "docker.io/library/busybox:1"),
        ("busybox:1", "", "docker.io/library/busybox:1"),
        ("busybox:1", "2", "docker.io/library/busybox:2"),
        ("r:5/x", DIGEST, f"r:5/x@{DIGEST}"),
        (f"r:5/x@{DIGEST}", "", f"r:5/x@{DIGEST}"),
        ("r:5/x:1", DIGEST, f"r:5/x@{DIGEST}"),
    ],
)
def test_a_tag_or_digest_beside_the_name_counts_more(name: str, tag: str, expected: str) -> None:
    assert str(parameters.named(name, tag)) == expected


@pytest.mark.parametrize(
    ("name", "tag"),
    [("UPPER", ""), ("", "1"), ("x", "a b"), ("x", "a/b"), ("x", "sha256:short"), ("x", ":"), ("x", "-a")],
)
def test_names_and_tags_that_are_none_are_refused(name: str, tag: str) -> None:
    with pytest.raises(Invalid):
        parameters.named(name, tag)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_name_and_tag_are_read_or_refused(name: str, tag: str) -> None:
    try:
        assert parameters.named(name, tag).path
    except Invalid:
        pass


def test_a_platform_in_json_is_the_platform() -> None:
    assert parameters.json_platform('{"os":"linux","architecture":"aarch64","variant":"v8"}') == Platform(
        "arm64", "linux"
    )
    assert str(parameters.json_platform('{"os":"linux","architecture":"arm","variant":"7","x":1}')) == "linux/arm/v7"


@given(
    st.text(max_size=60).map(lambda text: "{" + text)
    | st.binary(max_size=40).map(lambda data: "{" + data.decode("latin-1"))
)
def test_any_json_platform_is_read_or_refused(text: str) -> None:
    try:
        assert parameters.json_platform(text).os
    except Invalid:
        pass


@given(st.text(max_size=60))
def test_any_source_is_an_address_or_refused(text: str) -> None:
    try:
        assert fetching.address(text).startswith(("http://", "https://"))
    except Invalid:
        pass


def test_secrets_of_an_address_are_not_shown() -> None:
    assert fetching.shown("https://me:hush@h:1/p/a.tar?token=hush#x") == "https://h:1/p/a.tar"
