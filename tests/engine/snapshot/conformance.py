"""What every `Snapshotter` does. Subclass `SnapshotterConformance` and give it a `snapshots` fixture."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dockwright.errors import Conflict, InUse, Invalid, NotFound
from dockwright.snapshot import ChangeKind, Snapshotter

MODIFIED, ADDED, DELETED = ChangeKind


@asynccontextmanager
async def mounted(snapshots: Snapshotter, key: str, target: Path) -> AsyncIterator[Path]:
    target.mkdir(exist_ok=True)
    await snapshots.mount(key, target)
    try:
        yield target
    finally:
        await snapshots.unmount(target)


async def layer(snapshots: Snapshotter, name: str, parent: str | None, files: dict[str, str], target: Path) -> None:
    """A committed snapshot with `files` added."""
    await snapshots.prepare(f"making {name}", parent)
    async with mounted(snapshots, f"making {name}", target) as root:
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content)
    await snapshots.commit(name, f"making {name}")


@pytest.mark.root
class SnapshotterConformance:
    async def test_a_snapshot_shows_its_parent_and_keeps_its_own_writes(
        self, snapshots: Snapshotter, tmp_path: Path
    ) -> None:
        await layer(snapshots, "base", None, {"etc/a": "1", "etc/b": "2"}, tmp_path / "m")
        for key in ("one", "two"):
            await snapshots.prepare(key, "base")
            async with mounted(snapshots, key, tmp_path / "m") as root:
                assert (root / "etc/a").read_text() == "1"
                (root / "etc/a").write_text(key)
                (root / "etc/b").unlink()
        async with mounted(snapshots, "one", tmp_path / "m") as root:
            assert (root / "etc/a").read_text() == "one"
            assert os.listdir(root / "etc") == ["a"]

    async def test_a_view_is_read_only(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        await layer(snapshots, "base", None, {"a": "1"}, tmp_path / "m")
        await snapshots.view("look", "base")
        async with mounted(snapshots, "look", tmp_path / "m") as root:
            assert (root / "a").read_text() == "1"
            with pytest.raises(OSError, match="Read-only"):
                (root / "a").write_text("2")

    async def test_an_active_snapshot_can_be_mounted_read_only(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        (tmp_path / "m").mkdir()
        await snapshots.prepare("key")
        await snapshots.mount("key", tmp_path / "m", readonly=True)
        try:
            with pytest.raises(OSError, match="Read-only"):
                (tmp_path / "m" / "a").write_text("2")
        finally:
            await snapshots.unmount(tmp_path / "m")

    async def test_many_layers_mount(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        parent = None
        for number in range(150):
            await layer(
                snapshots,
                f"layer {number}",
                parent,
                {f"file{number}": str(number), "last": str(number)},
                tmp_path / "m",
            )
            parent = f"layer {number}"
        await snapshots.prepare("top", parent)
        async with mounted(snapshots, "top", tmp_path / "m") as root:
            assert len(os.listdir(root)) == 151
            assert (root / "last").read_text() == "149"

    async def test_the_root_directory_keeps_mode_and_owner(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        await snapshots.prepare("a")
        async with mounted(snapshots, "a", tmp_path / "m") as root:
            os.chown(root, 7, 8)
            root.chmod(0o1750)
        await snapshots.commit("base", "a")
        await snapshots.prepare("b", "base")
        await snapshots.view("v", "base")
        for key in ("b", "v"):
            async with mounted(snapshots, key, tmp_path / "m") as root:
                found = root.stat()
                assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (7, 8, 0o1750)

    async def test_changes_are_told_as_docker_tells_them(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        files = {
            "etc/same": "1",
            "etc/changed": "1",
            "etc/gone": "1",
            "old/sub/x": "1",
            "deep/er/x": "1",
            "again/a": "1",
            "again/b": "1",
        }
        await layer(snapshots, "base", None, files, tmp_path / "m")
        await layer(snapshots, "middle", "base", {"again/c": "1"}, tmp_path / "m")
        await snapshots.prepare("key", "middle")
        assert await snapshots.changes("key") == []
        async with mounted(snapshots, "key", tmp_path / "m") as root:
            (root / "etc/changed").write_text("22")
            (root / "etc/gone").unlink()
            with open(root / "etc/same", "r+"):
                pass  # copied up, not changed
            for path in ("old/sub/x", "again/a", "again/b", "again/c"):
                (root / path).unlink()
            (root / "old/sub").rmdir()
            (root / "old").rmdir()
            (root / "again").rmdir()
            (root / "again").mkdir()
            (root / "again/b").write_text("22")
            (root / "deep/er").chmod(0o700)
            (root / "new").mkdir()
            (root / "new/file").write_text("x")
            (root / "new/link").symlink_to("/etc")
        assert await snapshots.changes("key") == [
            (MODIFIED, "/again"),
            (DELETED, "/again/a"),
            (MODIFIED, "/again/b"),
            (DELETED, "/again/c"),
            (MODIFIED, "/deep"),
            (MODIFIED, "/deep/er"),
            (MODIFIED, "/etc"),
            (MODIFIED, "/etc/changed"),
            (DELETED, "/etc/gone"),
            (ADDED, "/new"),
            (ADDED, "/new/file"),
            (ADDED, "/new/link"),
            (DELETED, "/old"),
        ]

    async def test_usage_counts_what_the_snapshot_holds_itself(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        await layer(snapshots, "base", None, {"big": "x" * 1_000_000}, tmp_path / "m")
        await snapshots.prepare("key", "base")
        empty = await snapshots.usage("key")
        async with mounted(snapshots, "key", tmp_path / "m") as root:
            (root / "mine").write_bytes(b"y" * 100_000)
            os.link(root / "mine", root / "again")
        used = await snapshots.usage("key")
        assert 100_000 <= used.size_bytes - empty.size_bytes <= 110_000
        assert used.inodes - empty.inodes == 1
        assert (await snapshots.usage("base")).size_bytes > 1_000_000

    async def test_what_others_stand_on_stays(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        await layer(snapshots, "base", None, {}, tmp_path / "m")
        await snapshots.prepare("key", "base")
        with pytest.raises(InUse):
            await snapshots.remove("base")
        await snapshots.remove("key")
        await snapshots.remove("base")
        assert snapshots.walk() == []

    async def test_wrong_keys_are_refused(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        await layer(snapshots, "base", None, {}, tmp_path / "m")
        await snapshots.prepare("key", "base")
        with pytest.raises(Conflict):
            await snapshots.prepare("key")
        with pytest.raises(Conflict):
            await snapshots.commit("base", "key")
        with pytest.raises(Invalid):
            await snapshots.prepare("other", "key")
        with pytest.raises(Invalid):
            await snapshots.mount("base", tmp_path)
        with pytest.raises(Invalid):
            await snapshots.commit("other", "base")
        for call in (snapshots.usage, snapshots.changes, snapshots.remove):
            with pytest.raises(NotFound):
                await call("none")
        with pytest.raises(NotFound):
            await snapshots.prepare("other", "none")
        with pytest.raises(NotFound):
            snapshots.stat("none")
        assert [info.key for info in snapshots.walk()] == ["base", "key"]

    async def test_unmounting_twice_is_fine(self, snapshots: Snapshotter, tmp_path: Path) -> None:
        await snapshots.prepare("key")
        async with mounted(snapshots, "key", tmp_path / "m"):
            pass
        await snapshots.unmount(tmp_path / "m")
        await snapshots.unmount(tmp_path / "never")
