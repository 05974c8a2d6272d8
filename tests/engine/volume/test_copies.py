"""Snapshots, restore, clone, rename, export and import: what they keep, and that each happens whole or not at all."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests import archives
from tests.host import footprint

import dockwright
from dockwright import faults
from dockwright.container import Config, HostConfig, Request
from dockwright.container.config import Mount
from dockwright.container.container import Container
from dockwright.container.quiet import quiet, rename_volume
from dockwright.container.state import Status
from dockwright.engine import Engine
from dockwright.errors import Conflict, DockwrightError, HostFailure, InUse, Invalid, NotFound
from dockwright.volume.copying import _linkless, copy_tree

pytestmark = pytest.mark.root

SOURCE = Path(dockwright.__file__).parent / "volume"
POINTS = sorted(
    {point for path in SOURCE.rglob("*.py") for point in re.findall(r'faults\.point\("([a-z_.]+)"\)', path.read_text())}
)


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def shown(root: Path) -> dict[str, str]:
    """Every file below `root` with what it holds."""
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


async def where(engine: Engine, name: str) -> Path:
    return Path((await engine.volumes.inspect(engine.volumes.get(name))).mountpoint)


async def volume(engine: Engine, name: str, **files: str) -> Path:
    await engine.volumes.create(name)
    root = await where(engine, name)
    put(root, **files)
    return root


async def container(engine: Engine, name: str, *command: str, target: str = "/data") -> Container:
    host = HostConfig(network_mode="none", binds=[f"{name}:{target}"])
    made, _ = await engine.containers.create(Request(Config(image="busybox", cmd=list(command)), host, {}))
    return made


def archive(**files: str) -> AsyncIterator[bytes]:
    return archives.stream(archives.files(files))


async def import_(engine: Engine, name: str, *, replace: bool = False, **files: str) -> None:
    async with engine.copies.unpacked(archive(**files)) as draft:
        await engine.copies.put(name, draft, replace_content=replace)


async def test_a_snapshot_keeps_what_a_volume_held_and_restore_brings_it_back(engine: Engine) -> None:
    root = await volume(engine, "data", one="1", deep__two="2")
    os.chown(root / "one", 1000, 50)
    os.chmod(root, 0o1770)
    os.setxattr(root / "one", "user.note", b"kept")
    os.symlink("one", root / "link")
    os.link(root / "one", root / "hard")
    snapshot = await engine.copies.snapshot("data", "before")
    assert (snapshot.volume, snapshot.tag) == ("data", "before")
    put(root, one="changed", three="3")
    (root / "deep/two").unlink()
    os.chmod(root, 0o755)
    inode = root.stat().st_ino
    await engine.copies.restore("data", "before")
    assert shown(root) == {"one": "1", "deep/two": "2", "link": "1", "hard": "1"}
    assert (root / "one").stat().st_ino == (root / "hard").stat().st_ino
    assert ((root / "one").stat().st_uid, (root / "one").stat().st_gid) == (1000, 50)
    assert os.getxattr(root / "one", "user.note") == b"kept"
    assert stat.S_IMODE(root.stat().st_mode) == 0o1770
    assert root.stat().st_ino == inode  # whoever has it mounted sees it
    assert [one.tag for one in engine.copies.snapshots("data")] == ["before"]


async def test_a_tag_is_taken_once_and_bad_ones_are_refused(engine: Engine) -> None:
    await volume(engine, "data")
    await engine.copies.snapshot("data", "one")
    with pytest.raises(Conflict):
        await engine.copies.snapshot("data", "one")
    for tag in ("", "../x", ".x", "a/b", "x" * 300):
        with pytest.raises(Invalid):
            await engine.copies.snapshot("data", tag)
    with pytest.raises(NotFound):
        await engine.copies.restore("data", "two")
    with pytest.raises(NotFound):
        await engine.copies.snapshot("nowhere", "one")


async def test_a_volume_with_snapshots_is_not_removed_before_they_are(engine: Engine) -> None:
    await volume(engine, "data")
    await engine.copies.snapshot("data", "one")
    with pytest.raises(Conflict, match="has snapshots - "):
        await engine.volumes.remove("data")
    await engine.copies.remove("data", "one")
    with pytest.raises(NotFound):
        await engine.copies.remove("data", "one")
    await engine.volumes.remove("data")


async def test_an_anonymous_volume_outlives_its_container_once_it_has_a_snapshot(engine: Engine) -> None:
    made, _ = await engine.containers.create(
        Request(Config(image="busybox", cmd=["true"], volumes={"/data": {}}), HostConfig(), {})
    )
    (name,) = [point.name for point in made.record.spec.points]
    await engine.copies.snapshot(name, "one")
    await made.remove(volumes=True)
    assert engine.volumes.get(name).belongs_to == ""


async def test_a_clone_has_the_content_and_the_labels_and_goes_its_own_way(engine: Engine) -> None:
    await engine.volumes.create("data", labels={"tier": "db"})
    root = await where(engine, "data")
    put(root, file="1")
    await engine.copies.snapshot("data", "one")
    put(root, file="2")
    made = await engine.copies.clone("data", "copy")
    assert (made.labels, engine.volumes.get("copy")) == ({"tier": "db"}, made)
    await engine.copies.clone("data", "old", tag="one")
    put(root, file="3")
    assert shown(await where(engine, "copy")) == {"file": "2"}
    assert shown(await where(engine, "old")) == {"file": "1"}
    for name in ("copy", "data"):
        with pytest.raises(Conflict):
            await engine.copies.clone("data", name)


async def test_what_is_exported_is_imported_elsewhere(engine: Engine) -> None:
    await volume(engine, "data", one="1", deep__two="2")
    await engine.copies.snapshot("data", "kept")

    async def chunks(tag: str, copy: bool) -> AsyncIterator[bytes]:
        async with (
            engine.copies.exporting("data", tag=tag, still=nullcontext() if copy else None) as stream,
            aclosing(stream),
        ):
            async for chunk in stream:
                yield chunk

    for name, tag, copy in (("plain", "", False), ("copied", "", True), ("tagged", "kept", True)):
        async with aclosing(chunks(tag, copy)) as stream, engine.copies.unpacked(stream) as draft:
            await engine.copies.put(name, draft)
        assert shown(await where(engine, name)) == {"one": "1", "deep/two": "2"}
    assert [path for path in (engine.settings.data_root / "volumes/.snapshots").iterdir() if path.name[0] == "."] == []


async def test_a_volume_in_use_for_an_export_is_not_removed(engine: Engine) -> None:
    await volume(engine, "data", one="1")
    async with engine.copies.exporting("data"):
        with pytest.raises(InUse):
            await engine.volumes.remove("data")
    await engine.volumes.remove("data")


async def test_an_import_replaces_only_when_told_and_all_of_it(engine: Engine) -> None:
    await import_(engine, "data", one="1", two="2")
    with pytest.raises(Conflict, match="holds something"):
        await import_(engine, "data", three="3")
    await import_(engine, "data", replace=True, three="3")
    assert shown(await where(engine, "data")) == {"three": "3"}


async def test_a_bad_archive_changes_nothing(engine: Engine) -> None:
    root = await volume(engine, "data", one="1")

    async def garbage() -> AsyncIterator[bytes]:
        yield b"no archive at all" * 100

    for name in ("data", "fresh"):
        with pytest.raises(DockwrightError):
            async with engine.copies.unpacked(garbage()) as draft:
                await engine.copies.put(name, draft, replace_content=True)
    assert shown(root) == {"one": "1"}
    assert not engine.volumes.exists("fresh")


async def test_containers_stand_still_while_their_volume_is_copied(engine: Engine) -> None:
    """A writer that keeps two files equal, one after the other: a copy in between would tell them apart."""
    root = await volume(engine, "data")
    writer = await container(
        engine, "data", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /data/a; echo $i > /data/b; done"
    )
    await writer.start()
    while not (root / "b").exists():
        await asyncio.sleep(0.01)
    before = "", ""

    def written() -> tuple[str, str]:
        return (root / "a").read_text(), (root / "b").read_text()

    @asynccontextmanager
    async def still() -> AsyncIterator[None]:
        nonlocal before
        async with quiet(engine.containers, "data"):
            assert writer.status is Status.RUNNING
            before = await asyncio.to_thread(written)
            yield
            assert await asyncio.to_thread(written) == before

    await engine.copies.snapshot("data", "one", still())
    kept = engine.settings.data_root / "volumes/.snapshots/data/one"
    assert ((kept / "a").read_text(), (kept / "b").read_text()) == before
    while written() == before:
        await asyncio.sleep(0.01)
    await writer.kill()


async def test_a_restore_is_seen_by_who_has_the_volume_mounted(engine: Engine) -> None:
    root = await volume(engine, "data", word="old")
    await engine.copies.snapshot("data", "one")
    put(root, word="new")
    reader = await container(engine, "data", "sh", "-c", 'until [ "$(cat /data/word 2>&-)" = old ]; do :; done; exit 7')
    await reader.start()
    await engine.copies.restore("data", "one", quiet(engine.containers, "data"))
    while reader.alive:
        await asyncio.sleep(0.01)
    assert reader.record.state.exit_code == 7


async def test_a_volume_is_renamed_with_its_snapshots_under_the_containers_that_use_it(engine: Engine) -> None:
    await volume(engine, "data", word="kept")
    await engine.copies.snapshot("data", "one")
    runs = await container(engine, "data", "sleep", "1000")
    await runs.start()
    mount = Mount(type="volume", source="data", target="/m")
    rests, _ = await engine.containers.create(
        Request(Config(image="busybox", cmd=["cat", "/m/word"]), HostConfig(network_mode="none", mounts=[mount]), {})
    )
    await engine.copies.snapshot("data", "two")
    await volume(engine, "other")
    await engine.copies.snapshot("other", "three")
    await engine.copies.remove("other", "three")
    await engine.volumes.remove("other")
    await rename_volume(engine.containers, engine.volumes, "data", "other")
    assert [one.name for one in engine.volumes.all()] == ["other"]
    assert runs.record.spec.host.binds == ["other:/data"]
    assert rests.record.spec.host.mounts is not None
    assert rests.record.spec.host.mounts[0].source == "other"
    assert Path(f"/proc/{runs.require_live('exec').pid}/root/data/word").read_text() == "kept"
    with pytest.raises(InUse):
        await engine.volumes.remove("other")
    await rests.start()
    while rests.alive:
        await asyncio.sleep(0.01)
    assert rests.record.state.exit_code == 0
    assert [one.tag for one in engine.copies.snapshots("other")] == ["one", "two"]
    await engine.copies.restore("other", "one")
    with pytest.raises(Conflict):
        await rename_volume(engine.containers, engine.volumes, "other", "other")
    with pytest.raises(NotFound):
        await rename_volume(engine.containers, engine.volumes, "data", "x")
    await runs.kill()
    await runs.start()
    await runs.kill()


async def _restore(engine: Engine) -> None:
    await engine.copies.restore("data", "one")


async def _snapshot(engine: Engine) -> None:
    await engine.copies.snapshot("data", "two")
    await engine.copies.remove("data", "two")


async def _clone(engine: Engine) -> None:
    await engine.copies.clone("data", "cloned")
    await engine.volumes.remove("cloned")


async def _import(engine: Engine) -> None:
    await import_(engine, "data", replace=True, one="1", deep="2")


async def _rename(engine: Engine) -> None:
    await rename_volume(engine.containers, engine.volumes, "data", "renamed")
    await rename_volume(engine.containers, engine.volumes, "renamed", "data")


async def _tmpfs(engine: Engine) -> None:
    options = {"type": "tmpfs", "device": "tmpfs"}
    made = await engine.volumes.create("memory", options=options)
    try:
        await engine.volumes.mount(made.name, "test")
    finally:
        await engine.volumes.unmount(made.name, "test")
    await engine.volumes.remove("memory")


async def _fill(engine: Engine) -> None:
    made = await container(engine, "filled", "true", target="/home")
    await made.remove()
    await engine.volumes.remove("filled")


Act = Callable[[Engine], Coroutine[Any, Any, None]]
ACTS: dict[str, Act] = {
    "volume.copy": _clone,
    "volume.create": _clone,
    "volume.entering": _restore,
    "volume.exchange": _restore,
    "volume.fill": _fill,
    "volume.going": _clone,
    "volume.leaving": _restore,
    "volume.mount": _tmpfs,
    "volume.options": _tmpfs,
    "volume.persist": _clone,
    "volume.remove": _clone,
    "volume.removed": _clone,
    "volume.rename": _rename,
    "volume.replace": _restore,
    "volume.snapshot": _snapshot,
    "volume.snapshot.persist": _snapshot,
    "volume.snapshot.remove": _snapshot,
}


def test_every_step_has_a_test_of_its_failure() -> None:
    assert sorted(ACTS) == POINTS


def held(root: Path) -> set[str]:
    """What is mounted below `root`, but for the network namespaces that are prepared in the background."""
    return {entry for entry in footprint() if str(root) in entry and "/netns/" not in entry}


@pytest.mark.parametrize("point", sorted(ACTS))
async def test_a_step_that_fails_leaves_the_old_content_or_the_new_and_the_next_engine_goes_on(
    tmp_path: Path, engine: Engine, busybox_image: Path, point: str
) -> None:
    """The engine's root is opened again after the fault, as after a crash; then the same act succeeds."""
    root = await volume(engine, "data", one="1", deep="2")
    await engine.copies.snapshot("data", "one")
    put(root, three="3")
    before = held(tmp_path)
    with faults.armed(point), pytest.raises(HostFailure, match=re.escape(point)):
        await ACTS[point](engine)
    assert held(tmp_path) == before
    volumes = type(engine.volumes)(engine._database, engine.events, engine.volumes._drivers)
    copies = type(engine.copies)(volumes, engine._database, engine.events, engine.copies._root)
    await volumes.load()
    await copies.load()
    for name in list(volumes.renames().values()):
        await volumes.renamed(name)
    await volumes.collect({container.id for container in engine.containers.all()})
    engine.volumes._volumes = volumes._volumes
    engine.copies._snapshots = copies._snapshots
    name = "renamed" if volumes.exists("renamed") else "data"
    found = shown(await where(engine, name))
    assert found in ({"one": "1", "deep": "2", "three": "3"}, {"one": "1", "deep": "2"})
    if name == "renamed":
        await rename_volume(engine.containers, engine.volumes, "renamed", "data")
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []
    for left in ("cloned", "memory", "filled"):
        if volumes.exists(left):
            await engine.volumes.remove(left)
    await ACTS[point](engine)
    homes = [path.name for path in (engine.settings.data_root / "volumes").iterdir()]
    assert sorted(homes) == [".snapshots", "data"]


async def test_links_that_a_container_leaves_in_a_volume_lead_nowhere(engine: Engine, tmp_path: Path) -> None:
    """What a hostile container may have put there before: names like ours, and links in place of directories."""
    outside = tmp_path / "outside"
    put(outside, secret="host")
    root = await volume(engine, "data", sub__file="1")
    await engine.copies.snapshot("data", "one")
    for step in ("staged", "leaving", "entering"):
        planted = root / f".dockwright-{step}"
        planted.mkdir()
        (planted / "in").symlink_to(outside)
        (root / f".dockwright-{'0' * 16}-{step}").symlink_to(outside)
    (root / "sub/file").unlink()
    (root / "sub").rmdir()
    (root / "sub").symlink_to(outside)
    await engine.copies.snapshot("data", "two")
    kept = engine.settings.data_root / "volumes/.snapshots/data/two"
    assert (kept / "sub").is_symlink()
    await engine.copies.restore("data", "one")
    assert shown(root) == {"sub/file": "1"}
    await engine.copies.restore("data", "two")
    assert (root / "sub").is_symlink()
    assert shown(outside) == {"secret": "host"}


def test_a_copy_follows_no_link_on_either_side(tmp_path: Path) -> None:
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    put(source, sub__file="1")
    put(outside, secret="host")
    target.mkdir()
    (target / "sub").symlink_to(outside)
    with pytest.raises(HostFailure):
        copy_tree(source, target, "copying")
    assert shown(outside) == {"secret": "host"}
    (source / "link").symlink_to(outside)
    with _linkless(source) as fd, pytest.raises(OSError, match="symbolic links"):
        os.listdir(f"/proc/self/fd/{fd}/link")
