"""`Overlay`, on both ways to mount."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.snapshot.conformance import SnapshotterConformance, mounted

from dockwright import faults
from dockwright.errors import HostFailure, Unsupported
from dockwright.snapshot import SNAPSHOT_SCHEMA, Overlay, trees
from dockwright.snapshot import mountapi as api
from dockwright.store import Database

pytestmark = pytest.mark.root


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "state.db", [SNAPSHOT_SCHEMA])
    yield opened
    await opened.aclose()


@pytest.fixture
async def snapshots(tmp_path: Path, database: Database) -> AsyncIterator[Overlay]:
    opened = await Overlay.open_at(tmp_path / "snapshots", database)
    yield opened
    await opened.aclose()


class TestOverlay(SnapshotterConformance):
    pass


class TestOverlayWithTheClassicCall(SnapshotterConformance):
    @pytest.fixture(autouse=True)
    def _classic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api, "supports_lowerdir_plus", lambda: False)


@pytest.mark.parametrize("name", ["with:colon,comma\\back slash", "n" * 200])
async def test_any_path_can_hold_the_snapshots(tmp_path: Path, database: Database, name: str) -> None:
    (tmp_path / name).mkdir()
    snapshots = await Overlay.open_at(tmp_path / name / ("d" * 60), database)
    await snapshots.prepare("key")
    async with mounted(snapshots, "key", tmp_path / "m") as root:
        (root / "x").write_text("x")
    await snapshots.aclose()


async def test_layers_are_spread_over_the_file_system(snapshots: Overlay, tmp_path: Path) -> None:
    listed = subprocess.run(["lsattr", "-d", tmp_path / "snapshots"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("the file system has no attributes")
    assert "T" in listed.stdout.split()[0]
    trees.spread_apart(Path("/proc"))  # knows no such attribute: nothing happens


async def test_rows_survive_and_garbage_does_not(tmp_path: Path, database: Database) -> None:
    first = await Overlay.open_at(tmp_path / "s", database)
    await first.prepare("a")
    await first.commit("base", "a")
    await first.prepare("key", "base")
    (tmp_path / "s" / "77" / "fs").mkdir(parents=True)
    await first.aclose()
    again = await Overlay.open_at(tmp_path / "s", database)
    await again.settled()
    assert [info.key for info in again.walk()] == ["base", "key"]
    assert sorted(os.listdir(tmp_path / "s")) == ["1", "2", "empty", "mnt"]
    await again.prepare("new", "base")
    assert (tmp_path / "s" / "78").exists()
    await again.aclose()


async def test_a_removed_snapshot_leaves_no_directory(snapshots: Overlay, tmp_path: Path) -> None:
    await snapshots.prepare("key")
    async with mounted(snapshots, "key", tmp_path / "m") as root:
        deep = root
        for _ in range(40):
            deep = deep / "d"
            deep.mkdir()
        for number in range(300):
            (root / str(number)).write_text("x")
    await snapshots.remove("key")
    await snapshots.settled()
    assert sorted(os.listdir(tmp_path / "snapshots")) == ["empty", "mnt"]


async def test_a_failed_prepare_leaves_nothing(snapshots: Overlay, tmp_path: Path) -> None:
    with faults.armed("snapshot.prepare"), pytest.raises(HostFailure):
        await snapshots.prepare("key")
    await snapshots.settled()
    assert sorted(os.listdir(tmp_path / "snapshots")) == ["empty", "mnt"]
    await snapshots.prepare("key")


async def test_a_cancelled_prepare_leaves_nothing(snapshots: Overlay, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(snapshots.prepare("key"))
        await asyncio.sleep(0)
        task.cancel()
    await snapshots.settled()
    assert snapshots.walk() == []
    assert sorted(os.listdir(tmp_path / "snapshots")) == ["empty", "mnt"]
    await snapshots.prepare("key")


async def test_a_cancelled_mount_leaves_nothing_mounted(snapshots: Overlay, tmp_path: Path) -> None:
    await snapshots.prepare("key")
    (tmp_path / "m").mkdir()
    for _ in range(20):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(snapshots.mount("key", tmp_path / "m"))
            await asyncio.sleep(0)
            task.cancel()
        assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


async def test_a_failed_commit_changes_nothing(snapshots: Overlay) -> None:
    await snapshots.prepare("key")
    with faults.armed("snapshot.commit"), pytest.raises(HostFailure):
        await snapshots.commit("name", "key")
    assert snapshots.stat("key").kind == "active"
    await snapshots.commit("name", "key")


async def test_a_redirect_that_was_smuggled_in_is_not_followed(snapshots: Overlay, tmp_path: Path) -> None:
    await snapshots.prepare("a")
    async with mounted(snapshots, "a", tmp_path / "m") as root:
        (root / "secret").mkdir(mode=0o700)
        (root / "secret" / "x").write_text("x")
    await snapshots.commit("base", "a")
    await snapshots.prepare("key", "base")
    upper = snapshots.tree(snapshots.node("key").layer)
    (upper / "open").mkdir()
    os.setxattr(upper / "open", "trusted.overlay.redirect", b"/secret")
    async with mounted(snapshots, "key", tmp_path / "m") as root:
        assert sorted(os.listdir(root)) == ["open", "secret"]
        try:
            assert os.listdir(root / "open") == []
        except OSError:
            pass  # refused altogether: as good


async def test_a_directory_nested_without_end_is_refused_not_died_of(snapshots: Overlay, tmp_path: Path) -> None:
    await snapshots.prepare("key")
    async with mounted(snapshots, "key", tmp_path / "m") as root:
        fd = os.open(root, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d", dir_fd=fd)
            inner = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = inner
        os.close(fd)
    with pytest.raises(Unsupported, match="nested deeper"):
        await snapshots.changes("key")
    assert (await snapshots.usage("key")).inodes == 1501
    await snapshots.remove("key")
    await snapshots.settled()
    assert sorted(os.listdir(tmp_path / "snapshots")) == ["empty", "mnt"]


async def test_deleted_files_are_character_devices_in_the_upper_directory(snapshots: Overlay, tmp_path: Path) -> None:
    await snapshots.prepare("a")
    async with mounted(snapshots, "a", tmp_path / "m") as root:
        (root / "x").write_text("x")
    await snapshots.commit("base", "a")
    await snapshots.prepare("key", "base")
    async with mounted(snapshots, "key", tmp_path / "m") as root:
        (root / "x").unlink()
    found = (snapshots.tree(snapshots.node("key").layer) / "x").lstat()
    assert stat.S_ISCHR(found.st_mode)
    assert found.st_rdev == 0


async def test_a_layer_that_comes_from_two_sides_at_once_is_kept_once(snapshots: Overlay, tmp_path: Path) -> None:
    async with snapshots.stage() as first, snapshots.stage() as second, snapshots.stage() as third:
        rows = [replace(row, diff_id="sha256:same") for row in (first, second, third)]
        await asyncio.gather(*(snapshots.adopt(key, None, row) for key, row in zip("abb", rows, strict=True)))
    assert snapshots.node("a").layer == snapshots.node("b").layer
    await snapshots.settled()
    assert sorted(os.listdir(tmp_path / "snapshots")) == [str(snapshots.node("a").layer.number), "empty", "mnt"]


async def test_the_same_layer_may_be_several_times_in_one_image(snapshots: Overlay, tmp_path: Path) -> None:
    async with snapshots.stage() as row:
        (snapshots.tree(row) / "x").write_text("x")
        first = replace(row, diff_id="sha256:first")
        await snapshots.adopt("a", None, first)
    async with snapshots.stage() as row:
        os.mknod(snapshots.tree(row) / "x", stat.S_IFCHR, 0)
        second = replace(row, diff_id="sha256:second")
        await snapshots.adopt("ab", "a", second)
    await snapshots.adopt("aba", "ab", first)
    await snapshots.adopt("abab", "aba", second)
    for parent, names in (("a", ["x"]), ("ab", []), ("aba", ["x"]), ("abab", [])):
        await snapshots.prepare(f"on {parent}", parent)
        async with mounted(snapshots, f"on {parent}", tmp_path / "m") as root:
            assert os.listdir(root) == names
