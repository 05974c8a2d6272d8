"""`changes` reads the upper directory alone; here it is held against a comparison of both whole trees, as Docker makes it."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engine.snapshot.conformance import mounted

from dockwright.snapshot import SNAPSHOT_SCHEMA, Overlay
from dockwright.store import Database

pytestmark = pytest.mark.root

NAMES = ["a", "b", "c", "d"]


@pytest.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[Overlay]:
    database = await Database.open(tmp_path / "state.db", [SNAPSHOT_SCHEMA])
    opened = await Overlay.open_at(tmp_path / "snapshots", database)
    yield opened
    await opened.aclose()
    await database.aclose()


def mutate(root: Path, chance: random.Random) -> None:
    """One random operation of the kind a container does; impossible ones are skipped."""
    path = root.joinpath(*chance.choices(NAMES, k=chance.randint(1, 3)))
    other = root.joinpath(*chance.choices(NAMES, k=chance.randint(1, 3)))
    try:
        match chance.randrange(9):
            case 0 | 1:
                path.write_text(chance.choice(["", "x", "longer"]))
            case 2:
                path.mkdir(mode=chance.choice([0o755, 0o700]))
            case 3:
                path.unlink()
            case 4:
                shutil.rmtree(path)
            case 5:
                path.chmod(chance.choice([0o755, 0o644]))
            case 6:
                path.symlink_to("a")
            case 7:
                shutil.move(path, other)
            case 8:
                with open(path, "r+"):
                    pass
    except (OSError, shutil.Error):
        pass


def whole_comparison(before: Path | None, now: Path, inside: str, found: set[tuple[int, str]]) -> bool:
    start = len(found)
    old = {entry.name: entry.stat(follow_symlinks=False) for entry in os.scandir(before)} if before else {}
    new = {entry.name: entry.stat(follow_symlinks=False) for entry in os.scandir(now)}
    for name, at in new.items():
        was = old.get(name)
        below = before / name if before and was and stat.S_ISDIR(was.st_mode) else None
        within = stat.S_ISDIR(at.st_mode) and whole_comparison(below, now / name, f"{inside}/{name}", found)
        if was is None:
            found.add((1, f"{inside}/{name}"))
        elif within or differs(at, was):
            found.add((0, f"{inside}/{name}"))
    found.update((2, f"{inside}/{name}") for name in old.keys() - new.keys())
    return len(found) > start


def differs(at: os.stat_result, was: os.stat_result) -> bool:
    if (at.st_mode, at.st_uid, at.st_gid) != (was.st_mode, was.st_uid, was.st_gid):
        return True
    return not stat.S_ISDIR(at.st_mode) and (at.st_size, at.st_mtime_ns) != (was.st_size, was.st_mtime_ns)


@pytest.mark.parametrize("seed", range(25))
async def test_changes_are_those_of_a_whole_comparison(snapshots: Overlay, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    parent = None
    for number in range(3):
        await snapshots.prepare("making", parent)
        async with mounted(snapshots, "making", tmp_path / "m") as root:
            for _ in range(40):
                mutate(root, chance)
        parent = f"layer {number}"
        await snapshots.commit(parent, "making")
    await snapshots.view("before", parent)
    await snapshots.prepare("now", parent)
    expected: set[tuple[int, str]] = set()
    async with mounted(snapshots, "now", tmp_path / "m") as now, mounted(snapshots, "before", tmp_path / "b") as before:
        for _ in range(40):
            mutate(now, chance)
        whole_comparison(before, now, "", expected)
        assert {(int(kind), path) for kind, path in await snapshots.changes("now")} == expected
