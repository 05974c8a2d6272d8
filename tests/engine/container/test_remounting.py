"""Mounts that come to and go from a running container: same id, same process."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.host import footprint

import dockwright
from dockwright import faults
from dockwright.container import Config, HostConfig, Request
from dockwright.container.config import BindOptions, Mount, TmpfsOptions, VolumeOptions
from dockwright.container.container import Container
from dockwright.container.remounting import change
from dockwright.engine import Engine
from dockwright.errors import Conflict, HostFailure, Invalid, NotFound

pytestmark = pytest.mark.root

SOURCE = Path(dockwright.__file__).parent / "container/remounting.py"
POINTS = sorted(re.findall(r'faults\.point\("([a-z.]+)"\)', SOURCE.read_text()))


@pytest.fixture
async def running(engine: Engine) -> AsyncIterator[Container]:
    host = HostConfig(network_mode="none", binds=["first:/first"], tmpfs={"/scratch": ""})
    container, _ = await engine.containers.create(Request(Config(image="busybox", cmd=["sleep", "1000"]), host, {}))
    await container.start()
    pid = container.require_live("exec").pid
    yield container
    if container.alive:
        assert container.require_live("exec").pid == pid
        await container.kill()


def root(container: Container) -> Path:
    return Path(f"/proc/{container.require_live('exec').pid}/root")


def mounts(container: Container) -> dict[str, set[str]]:
    """What is mounted in the container: the options of each path."""
    table = Path(f"/proc/{container.require_live('exec').pid}/mountinfo").read_text().splitlines()
    return {line.split()[4]: {*line.split()[5].split(","), *line.split()[-1].split(",")} for line in table}


def bind(source: Path, target: str, **options: object) -> Mount:
    return Mount(type="bind", source=str(source), target=target, **options)  # type: ignore[arg-type]


async def test_a_directory_comes_and_goes(running: Container, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("seen")
    await change(running, [bind(tmp_path, "/data/deep")], [])
    assert (root(running) / "data/deep/file").read_text() == "seen"
    (root(running) / "data/deep/back").touch()
    assert (tmp_path / "back").exists()
    assert [mount.target for mount in running.record.spec.host.mounts or ()] == ["/data/deep"]
    await change(running, [], ["/data/deep/"])
    assert list((root(running) / "data/deep").iterdir()) == []
    assert running.record.spec.host.mounts is None
    await change(running, [], ["/first", "/scratch"])
    assert not {"/first", "/scratch"} & set(mounts(running))
    assert (running.record.spec.host.binds, running.record.spec.host.tmpfs) == (None, None)


@pytest.mark.parametrize("alive", [True, False])
async def test_a_new_volume_is_filled_from_the_image_as_at_create(running: Container, alive: bool) -> None:
    home = running.parts.paths.rootfs(running.id) / "filled"
    home.mkdir()
    (home / "given").write_text("by the image")
    (home / "given").chmod(0o640)
    os.chown(home, 1234, 4321)
    if not alive:
        await running.kill()
    options = VolumeOptions(no_copy=True)
    empty = Mount(type="volume", source="empty", target="/filled", volume_options=options)
    await change(running, [empty], [])
    await change(running, [], ["/filled"])
    await change(running, [Mount(type="volume", source="full", target="/filled")], [])
    volumes = running.parts.volumes
    found = {name: Path((await volumes.inspect(volumes.get(name))).mountpoint) for name in ("empty", "full")}
    assert list(found["empty"].iterdir()) == []
    assert (found["full"] / "given").read_text() == "by the image"
    assert stat.S_IMODE((found["full"] / "given").stat().st_mode) == 0o640
    assert (found["full"].stat().st_uid, found["full"].stat().st_gid) == (1234, 4321)
    if alive:
        assert (root(running) / "filled/given").read_text() == "by the image"
        (root(running) / "filled/given").write_text("changed")
    # One that has something already stays as it is.
    (found["full"] / "given").write_text("mine")
    await change(running, [], ["/filled"])
    await change(running, [Mount(type="volume", source="full", target="/filled")], [])
    assert (found["full"] / "given").read_text() == "mine"


async def test_every_kind_of_mount_can_come(engine: Engine, running: Container, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("seen")
    await engine.volumes.create("data")
    home = Path((await engine.volumes.inspect(engine.volumes.get("data"))).mountpoint)
    (home / "sub").mkdir()
    (home / "sub/file").write_text("part")
    given = [
        bind(tmp_path / "file", "/etc/one-file", read_only=True),
        Mount(type="volume", source="data", target="/volume"),
        Mount(type="volume", source="data", target="/part", volume_options=VolumeOptions(subpath="sub")),
        Mount(type="tmpfs", target="/memory", tmpfs_options=TmpfsOptions(size_bytes=1 << 20, mode=0o700)),
        Mount(type="image", source="busybox", target="/image"),
        Mount(type="volume", target="/anonymous"),
    ]
    await change(running, given, [])
    inside = root(running)
    assert (inside / "etc/one-file").read_text() == "seen"
    assert (inside / "volume/sub/file").read_text() == "part"
    assert (inside / "part/file").read_text() == "part"
    assert (inside / "image/etc/passwd").exists()
    seen = mounts(running)
    assert {"size=1024k", "mode=700", "nosuid", "nodev", "noexec"} <= seen["/memory"]
    assert "ro" in seen["/etc/one-file"]
    assert "ro" in seen["/image"]
    assert "rw" in seen["/volume"]
    assert engine.volumes.users("data") == 1
    # What the container was given holds at its next start too.
    await running.kill()
    await running.start()
    assert {mount.target for mount in given} <= set(mounts(running))
    await change(running, [], ["/part"])
    assert engine.volumes.users("data") == 1
    await change(running, [], [mount.target for mount in given if mount.target != "/part"])
    assert engine.volumes.users("data") == 0
    await engine.volumes.remove("data")
    assert not [key for key in (snapshot.key for snapshot in engine.snapshots.walk()) if key.startswith("image-mount")]
    await running.kill()


async def test_a_read_only_bind_is_read_only_all_the_way_down_unless_told_otherwise(
    running: Container, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "sub"], check=True)
    try:
        writable = BindOptions(read_only_non_recursive=True)
        flat = BindOptions(non_recursive=True)
        await change(
            running,
            [
                bind(tmp_path, "/deep", read_only=True),
                bind(tmp_path, "/top", read_only=True, bind_options=writable),
                bind(tmp_path, "/flat", bind_options=flat),
            ],
            [],
        )
        seen = mounts(running)
        assert "ro" in seen["/deep"]
        assert "ro" in seen["/deep/sub"]
        assert "ro" in seen["/top"]
        assert "rw" in seen["/top/sub"]
        assert "/flat/sub" not in seen
        await running.kill()
    finally:
        subprocess.run(["umount", tmp_path / "sub"], check=True)


async def test_what_cannot_be_is_refused_and_changes_nothing(running: Container, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before, points = mounts(running), list(running.record.spec.points)
    for given, gone, error in (
        ([bind(tmp_path / "nope", "/x")], [], Invalid),
        ([bind(tmp_path, "/first")], [], Conflict),
        ([bind(tmp_path, "/x"), bind(tmp_path, "/x/")], [], Conflict),
        ([bind(tmp_path, "/")], [], Invalid),
        ([bind(tmp_path, "/proc/sys")], [], Invalid),
        ([bind(tmp_path, "relative")], [], Invalid),
        ([bind(tmp_path, "/etc/passwd")], [], Invalid),
        ([bind(tmp_path / "file", "/etc")], [], Invalid),
        ([bind(tmp_path, "/etc/passwd/x")], [], Invalid),
        ([Mount(type="image", source="no-such-image", target="/x")], [], Invalid),
        ([], ["/nowhere"], NotFound),
    ):
        with pytest.raises(error):
            await change(running, given, gone)
        assert mounts(running) == before, given
        assert running.record.spec.points == points


async def test_a_mount_that_lies_below_another_goes_first(running: Container, tmp_path: Path) -> None:
    await change(running, [bind(tmp_path, "/a"), bind(tmp_path, "/a/b")], [])
    with pytest.raises(Conflict, match="/a/b is mounted below"):
        await change(running, [], ["/a"])
    await change(running, [], ["/a", "/a/b"])
    assert "/a" not in mounts(running)


async def test_links_of_the_container_never_lead_out_of_it(running: Container, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root(running) / "link").symlink_to(outside)
    (root(running) / "up").symlink_to("../../../../../../..")
    with pytest.raises(Invalid, match="File exists"):  # what it names is not in the container
        await change(running, [bind(tmp_path, "/link/here")], [])
    await change(running, [bind(tmp_path, "/up/there")], [])
    assert list(outside.iterdir()) == []
    assert (root(running) / "there/outside").is_dir()
    await change(running, [], ["/up/there"])
    assert not [path for path in mounts(running) if path.endswith("/there")]


async def test_a_paused_and_a_stopped_container_take_mounts_too(running: Container, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    await running.pause()
    await change(running, [bind(tmp_path, "/paused")], [])
    await running.unpause()
    assert (root(running) / "paused/file").exists()
    await running.kill()
    await change(running, [bind(tmp_path, "/stopped")], ["/paused"])
    await running.start()
    assert (root(running) / "stopped/file").exists()
    assert "/paused" not in mounts(running)
    await running.kill()


def held(tmp_path: Path) -> set[str]:
    return {entry for entry in footprint() if str(tmp_path) in entry and "/netns/" not in entry}


@pytest.mark.parametrize("point", POINTS)
async def test_a_step_that_fails_leaves_no_mount_and_no_claim(
    engine: Engine, running: Container, tmp_path: Path, point: str
) -> None:
    await engine.volumes.create("data", options={"type": "tmpfs", "device": "tmpfs"})
    given = [Mount(type="volume", source="data", target="/data")]
    before = held(tmp_path)
    removing = point in ("update.unmount", "update.detached")
    if removing:
        await change(running, given, [])
    with faults.armed(point), pytest.raises(HostFailure, match=re.escape(point)):
        await (change(running, [], ["/data"]) if removing else change(running, given, []))
    if removing:
        await change(running, [], ["/data"])
    assert held(tmp_path) == before
    assert "/data" not in mounts(running)
    assert engine.volumes.users("data") == 0
    await change(running, given, [])
    assert "/data" in mounts(running)
    await change(running, [], ["/data"])
    await engine.volumes.remove("data")


@pytest.mark.parametrize("point", ["update.mount", "update.attach", "update.persist"])
async def test_a_mount_cancelled_at_any_step_leaves_nothing(
    engine: Engine, running: Container, tmp_path: Path, point: str
) -> None:
    before = mounts(running)
    async with asyncio.timeout(30):
        task = asyncio.get_running_loop().create_task(change(running, [bind(tmp_path, "/data")], []))
        with faults.armed(point, lambda: task.cancel() and None), pytest.raises(asyncio.CancelledError):
            await task
    assert mounts(running) == before
    await change(running, [bind(tmp_path, "/data")], [])
