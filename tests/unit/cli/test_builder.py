"""`builder du`, `builder prune`, and `build` with an engine that has the classic call alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.unit.client.server import Engine, answer

from dockwright.cli import main

ROWS = [
    {
        "ID": "abc",
        "Type": "regular",
        "Description": "RUN make",
        "InUse": False,
        "Shared": True,
        "Size": 2000,
        "CreatedAt": "2020-01-02T03:04:05Z",
        "LastUsedAt": "2020-01-02T03:04:05Z",
        "UsageCount": 3,
        "Parents": ["sha256:p"],
    },
    {"ID": "def", "Type": "exec.cachemount", "InUse": True, "Shared": False, "Size": 1000, "UsageCount": 0},
]
Run = Callable[..., str]


@pytest.fixture
def run(fake_engine: Engine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    fake_engine.answers["GET /system/df"] = answer({"BuildCache": ROWS})
    fake_engine.answers["POST /build/prune"] = answer({"CachesDeleted": ["sha256:abc"], "SpaceReclaimed": 2000})
    monkeypatch.setenv("DOCKER_HOST", fake_engine.url)
    monkeypatch.setenv("DOCKER_CONFIG", "/nonexistent")

    def ran(*words: str, status: int = 0) -> str:
        assert main.run(["builder", *words]) == status
        shown = capfd.readouterr()
        return shown.err if status else shown.out

    return ran


def test_du_is_a_table_with_sums(run: Run) -> None:
    lines = run("du").splitlines()
    assert lines[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert lines[1].split()[:3] == ["abc", "true", "2kB*"]
    assert lines[2].split() == ["def*", "false", "1kB"]
    assert [line.split() for line in lines[3:]] == [
        ["Shared:", "2kB"],
        ["Private:", "1kB"],
        ["Reclaimable:", "2kB"],
        ["Total:", "3kB"],
    ]


def test_du_tells_all_about_each(run: Run) -> None:
    assert run("du", "--verbose").startswith(
        "ID:           abc\nParents:\n - sha256:p\nCreated at:   2020-01-02T03:04:05Z\nMutable:      false\n"
        "Reclaimable:  true\nShared:       true\nSize:         2kB\nDescription:  RUN make\nUsage count:  3\n"
    )
    assert run("du", "--format", "{{.ID}} {{.UsageCount}} {{.Type}}") == "abc 3 regular\ndef 0 exec.cachemount\n"
    assert '"Parents":["sha256:p"]' in run("du", "--format", "json")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("id=b", ["abc"]),
        ("type=exec.cachemount", ["def"]),
        ("description=RUN make", ["abc"]),
        ("inuse=true", ["def"]),
        ("shared=true", ["abc"]),
        ("private=true", ["def"]),
        ("unused-for=24h", ["abc", "def"]),
        ("until=2000000h", ["def"]),
    ],
)
def test_du_takes_filters(run: Run, words: str, shown: list[str]) -> None:
    assert run("du", "--filter", words, "--format", "{{.ID}}").split() == shown
    assert "Total:" not in run("du", "--filter", words)


def test_du_refuses_what_it_does_not_know(run: Run) -> None:
    assert "invalid filter 'colour'" in run("du", "--filter", "colour=red", status=1)
    assert "expects a duration" in run("du", "--filter", "until=soon", status=1)
    assert "cannot be used together" in run("du", "--verbose", "--format", "json", status=1)


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["--all"], "all=1"),
        (["--reserved-space", "1m"], "reserved-space=1048576"),
        (["--keep-storage", "1m"], "keep-storage=1048576"),
        (["--max-used-space", "2m"], "max-used-space=2097152"),
        (["--min-free-space", "3m"], "min-free-space=3145728"),
    ],
)
def test_prune_asks_for_each_amount(run: Run, fake_engine: Engine, words: list[str], query: str) -> None:
    assert "Total reclaimed space: 2kB" in run("prune", "-f", *words)
    asked: Any = fake_engine.requests[-1]
    assert query in asked.query.replace("all=true", "all=1").split("&")


def test_prune_tells_all_about_what_goes(run: Run) -> None:
    shown = run("prune", "-f", "--verbose")
    assert shown.startswith("ID:           abc\n")
    assert "def" not in shown


@pytest.fixture
def classic(run: Run, fake_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to build, and an engine that has `POST /build` alone."""
    fake_engine.answers["POST /build"] = answer({"aux": {"ID": "sha256:made"}})
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.delenv("DOCKER_BUILDKIT", raising=False)
    return tmp_path


def test_an_engine_without_buildkit_builds_by_the_classic_call(run: Run, fake_engine: Engine, classic: Path) -> None:
    words = ["--build-arg", "A=b", "--cache-from", "img:1", "--keep-times", "--platform", "linux/arm64", "-t", "x"]
    assert run("build", "-q", *words, str(classic)) == "sha256:made\n"
    asked: Any = fake_engine.requests[-1]
    query = parse_qs(asked.query)
    assert asked.path == "/build"
    assert (query["buildargs"], query["cachefrom"]) == (['{"A": "b"}'], ['["img:1"]'])
    assert (query["platform"], query["t"]) == (["linux/arm64"], ["x"])
    assert "dockwright-keep-times" in query


def test_an_engine_without_buildkit_is_not_asked_for_what_only_that_has(
    run: Run, fake_engine: Engine, classic: Path
) -> None:
    for words in (["--secret", "id=x"], ["-o", "out"], ["--check"], ["--call", "outline"], ["--push"], ["--explain"]):
        said = run("build", *words, str(classic), status=1)
        assert "needs BuildKit's protocol: the engine does not offer it" in said
    assert "type than registry needs BuildKit" in run(
        "build", "--cache-from", "type=local,src=x", str(classic), status=1
    )
    assert [one.path for one in fake_engine.requests if one.path == "/build"] == []


def test_squashing_goes_by_the_classic_call(run: Run, fake_engine: Engine, classic: Path) -> None:
    run("build", "--squash", str(classic))
    assert "squash" in parse_qs(fake_engine.requests[-1].query)
