"""References in Docker's familiar form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.errors import Invalid
from dockwright.oci import reference

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("alice/tool", "docker.io/alice/tool", "alice/tool"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
        ("reg.example.com/a/b/c", "reg.example.com/a/b/c", "reg.example.com/a/b/c"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("HOST/x", "HOST/x", "HOST/x"),
        (f"busybox@{SHA}", f"docker.io/library/busybox@{SHA}", f"busybox@{SHA}"),
        (f"busybox:1@{SHA}", f"docker.io/library/busybox:1@{SHA}", f"busybox:1@{SHA}"),
        ("a__b/c-d--e.f", "docker.io/a__b/c-d--e.f", "a__b/c-d--e.f"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("test:5000", "docker.io/library/test:5000", "test:5000"),
    ],
)
def test_a_reference_is_normalised_and_told_back_in_familiar_form(text: str, full: str, familiar: str) -> None:
    parsed = reference.parse(text)
    assert (str(parsed), parsed.familiar) == (full, familiar)
    assert reference.parse(str(parsed)) == parsed
    assert reference.parse(familiar) == parsed


@pytest.mark.parametrize(
    "text",
    [
        *("", ":tag", "a b", "a//b", "/a", "a/", "x:", "x:-tag", "x@sha256:short", "x@", "a___b", "-a", "a..b"),
        *("x:" + "t" * 129, "x\n", "Ü", "x:ü", "a/b/", "http://x/y", "x@md5:" + "a" * 32, "x" * 2_000_000),
    ],
)
def test_what_is_no_reference_is_invalid(text: str) -> None:
    with pytest.raises(Invalid, match=r"invalid reference format|digest"):
        reference.parse(text)


def test_a_capital_letter_is_named_as_the_reason() -> None:
    with pytest.raises(Invalid, match=r"repository name \(library/BusyBox\) must be lowercase"):
        reference.parse("BusyBox")


def test_an_image_id_is_no_repository_name() -> None:
    with pytest.raises(Invalid, match="cannot specify 64-byte hexadecimal strings"):
        reference.parse("ab" * 32)


def test_latest_is_meant_when_nothing_is_said() -> None:
    assert reference.parse("x").tagged.familiar == "x:latest"
    assert reference.parse("x:1").tagged.familiar == "x:1"
    assert reference.parse(f"x@{SHA}").tagged.tag is None


@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_invalid(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except Invalid:
        return
    assert reference.parse(parsed.familiar) == parsed
