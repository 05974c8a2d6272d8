"""What is missing is named."""

from __future__ import annotations

import os

import pytest

from dockwright import kernel
from dockwright.errors import Unsupported


@pytest.mark.parametrize(
    ("release", "expected"), [("6.1.0-18-amd64", (6, 1)), ("5.6", (5, 6)), ("6.18.44-fc", (6, 18)), ("4", (4, 0))]
)
def test_releases_are_read(release: str, expected: tuple[int, int]) -> None:
    assert kernel.version(release) == expected


def test_an_old_kernel_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(kernel, "OLDEST", (99, 0))
    with pytest.raises(Unsupported, match="too old"):
        kernel.require()


def test_a_kernel_without_overlayfs_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(kernel, "_listed", lambda name: False)
    with pytest.raises(Unsupported, match="overlay"):
        kernel.require()


def test_nobody_but_root_opens_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unsupported, match="root"):
        kernel.require()
