"""Platforms."""

from __future__ import annotations

import pytest

from dockwright.errors import Invalid
from dockwright.oci import platform
from dockwright.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("Linux/AArch64", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_a_platform_is_told_by_its_usual_name(text: str, normal: str) -> None:
    assert str(platform.parse(text)) == normal


@pytest.mark.parametrize("text", ["", "nonsense", "a/b/c/d", "linux/", "linux/amd64/\n", "/"])
def test_what_is_no_platform_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        platform.parse(text)


def test_a_host_prefers_its_own_and_accepts_what_it_runs() -> None:
    arm = Platform("arm64", "linux")
    assert arm.rank(Platform("arm64", "linux", variant="v8")) == 0
    assert arm.rank(Platform("arm", "linux", variant="v7")) == 2
    assert arm.rank(Platform("amd64", "linux")) is None
    assert Platform("amd64", "linux").rank(Platform("386", "linux")) == 1


def test_the_host_is_linux() -> None:
    assert platform.host().os == "linux"
