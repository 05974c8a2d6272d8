"""The bench's table says what was sampled, and nothing where nothing was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench import debian, report
from bench.engines import Dockerd, Engine
from bench.http import Failed
from bench.row import Result, Row, Scale, Session, measure
from bench.rows import ROWS

ENGINES = ("ours", "dockerd")


class Counting:
    """A session that gives 1, 2, 3 … times `factor`; fails from sample `fails_at` on."""

    def __init__(self, factor: float, fails_at: int = 1000) -> None:
        self._factor, self._fails_at, self._taken = factor, fails_at, 0

    def sample(self) -> float:
        self._taken += 1
        if self._taken >= self._fails_at:
            raise Failed("500 broken")
        return self._taken * self._factor


def row(sessions: dict[str, Counting], *, higher: bool = False) -> Row:
    @contextmanager
    def prepare(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Session]:
        yield sessions[engine.name]

    return Row("work", "{burst} pieces of work", "ms", 0.5, prepare, higher_is_better=higher)


def measured(ours: Counting, theirs: Counting, tmp_path: Path, *, higher: bool = False) -> Result:
    engines = [Engine(name, str(tmp_path / name), []) for name in ENGINES]
    sessions = dict(zip(ENGINES, (ours, theirs), strict=True))
    return measure(row(sessions, higher=higher), engines, Scale.quick().with_samples(3), tmp_path)


def test_the_first_pair_warms_up_and_the_rest_gives_medians_and_their_ratio(tmp_path: Path) -> None:
    result = measured(Counting(1), Counting(4), tmp_path)
    assert result.samples == {"ours": [2, 3, 4], "dockerd": [8, 12, 16]}
    assert (result.median("ours"), result.ratio(ENGINES), result.holds(ENGINES)) == (3, 0.25, True)
    assert result.title == "24 pieces of work"


def test_throughput_is_held_to_at_least_its_budget(tmp_path: Path) -> None:
    assert measured(Counting(1), Counting(4), tmp_path, higher=True).holds(ENGINES) is False


def test_an_engine_that_fails_keeps_its_reason_and_leaves_the_row_to_the_other(tmp_path: Path) -> None:
    result = measured(Counting(1, fails_at=1), Counting(1), tmp_path)
    assert result.failures == {"ours": "500 broken"}
    assert result.ratio(ENGINES) is None
    text = report.as_text([result], ENGINES, ["a fact"])
    assert "failed" in text
    assert "work, ours: 500 broken" in text


def test_one_engine_alone_has_no_ratio(tmp_path: Path) -> None:
    result = measured(Counting(1), Counting(1), tmp_path)
    assert report.as_markdown([result], ENGINES[:1], []).splitlines()[0] == "| work | ours |"
    assert json.loads(report.as_json([result], ENGINES[:1], []))["rows"][0]["ratio"] is None


def test_rows_have_names_of_their_own_and_titles_that_fit_every_scale() -> None:
    names = [found.name for found in ROWS]
    assert len(set(names)) == len(names)
    for scale in (Scale.full(), Scale.quick()):
        for found in ROWS:
            assert "{" not in found.title.format(**vars(scale))


def test_the_dockerd_to_compare_with_is_a_path_or_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Dockerd.at("/opt/sbin/dockerd") == "/opt/sbin/dockerd"
    monkeypatch.setattr(debian, "tree", lambda name, suite, packages: tmp_path / f"{name} {suite} {' '.join(packages)}")
    assert Dockerd.at("debian:sid") == f"{tmp_path}/daemon-sid sid docker.io containerd runc/usr/sbin/dockerd"
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "which", lambda program: None)
    assert debian.fetch(debian.buildx) is None
    assert "apt-get is missing" in capsys.readouterr().err


def test_programs_beside_a_dockerd_are_its_own_and_a_runc_that_does_not_run_is_not(tmp_path: Path) -> None:
    tree, root = tmp_path / "tree/usr", tmp_path / "root"
    for name, script in (
        ("sbin/dockerd", ""),
        ("bin/containerd", ""),
        ("sbin/runc", "exit 1\n"),
        ("sbin/docker-proxy", ""),
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"#!/bin/sh\n{script}")
        (tree / name).chmod(0o755)
    root.mkdir()
    first = Dockerd(root, str(tree / "sbin/dockerd")).environment()["PATH"].split(":")[0]
    assert sorted(path.name for path in Path(first).iterdir()) == ["containerd", "docker-proxy"]
