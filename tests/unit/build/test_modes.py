"""Modes of `--chmod`."""

from __future__ import annotations

import pytest

from dockwright.build.solving import modes
from dockwright.errors import Invalid


@pytest.mark.parametrize(
    ("text", "mode", "is_directory", "becomes"),
    [
        ("755", 0o600, False, 0o755),
        ("0", 0o600, False, 0),
        ("004711", 0o600, False, 0o4711),
        ("go-w", 0o666, False, 0o644),
        ("u=rw,g=r,o=r", 0o777, False, 0o644),
        ("a+X", 0o644, False, 0o644),
        ("a+X", 0o744, False, 0o755),
        ("a+X", 0o124, True, 0o135),
        ("u+rw,g+r,o-x,o+w", 0o124, True, 0o766),
        ("+x", 0o640, False, 0o751),
        ("g=u", 0o750, False, 0o770),
        ("o=g-w", 0o660, False, 0o664),
        ("u+x-w", 0o644, False, 0o544),
        ("go=", 0o777, False, 0o700),
        ("u+s,g+s,+t", 0o755, True, 0o7755),
        ("a-s", 0o6755, False, 0o755),
    ],
)
def test_what_becomes_of_a_mode(text: str, mode: int, is_directory: bool, becomes: int) -> None:
    change = modes.parse(text)
    assert change is not None
    assert oct(change(mode, is_directory)) == oct(becomes)


@pytest.mark.parametrize("text", ["8", "10000", "64a", "0x1ff", "u", "u+y", "u=rw,", "u=r w", "=r=q", "٧٥٥"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(Invalid, match="invalid chmod parameter: '"):
        modes.parse(text)


def test_nothing_said_changes_nothing() -> None:
    assert modes.parse("") is None
