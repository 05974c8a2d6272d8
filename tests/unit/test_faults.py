"""Fault points: every one has a literal name of its own, and does what a test asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dockwright
from dockwright import faults
from dockwright.errors import HostFailure

SOURCE = Path(dockwright.__file__).parent


def test_every_point_has_a_literal_name_of_its_own() -> None:
    names: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        calls = len(re.findall(r"faults\.point\(", text))
        found = re.findall(r'faults\.point\("([a-z_]+(?:\.[a-z_]+)+)"\)', text)
        assert calls == len(found), f"{path}: a fault point without a literal name"
        assert names.isdisjoint(found), f"{path}: a name of another file"
        names.update(found)
    assert len(names) > 30


def test_an_armed_point_fails_and_a_disarmed_one_does_nothing() -> None:
    faults.point("nothing.here")
    with faults.armed("some.where"), pytest.raises(HostFailure, match=r"some\.where"):
        faults.point("some.where")
    faults.point("some.where")


def test_the_environment_arms_points_and_refuses_unknown_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKWRIGHT_FAULTS", "a.b:raise")
    monkeypatch.setattr(faults, "_armed", {})
    faults.arm_from_environment()
    with pytest.raises(HostFailure):
        faults.point("a.b")
    monkeypatch.setenv("DOCKWRIGHT_FAULTS", "a.b:dance")
    with pytest.raises(ValueError, match="raise or kill"):
        faults.arm_from_environment()
