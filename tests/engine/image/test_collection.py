"""Collecting beside running operations."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from tests.archives import files, member, stream, tar_of
from tests.engine.image.conftest import Host, opened
from tests.engine.image.test_transport import docker_archive, loaded

from dockwright import faults
from dockwright.content import put
from dockwright.errors import HostFailure, NotFound
from dockwright.oci import Digest, digest

pytestmark = pytest.mark.root


def stored(host: Host, content: bytes) -> bool:
    return host.blobs.path(digest.of(content)).exists()


async def test_garbage_goes_while_an_operation_is_under_way(host: Host) -> None:
    async with host.images.lease() as lease:
        await lease.hold([digest.of(b"mine")])
        await put(host.blobs, b"mine")
        await put(host.blobs, b"garbage")
        await host.images.prune({})
        assert stored(host, b"mine")
        assert not stored(host, b"garbage")
    await host.images.prune({})
    assert not stored(host, b"mine")


async def test_what_is_held_while_a_collection_goes_on_stays(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held, stored, recorded and let go between marking and sweeping: the marks know nothing of it."""
    store = host.images._store
    marked, go_on = asyncio.Event(), asyncio.Event()
    real = store.records.drop_referrers

    async def wait_there(gone: object) -> None:
        marked.set()
        await go_on.wait()
        await real(gone)  # type: ignore[arg-type]

    store.records.referrers[Digest("sha256:" + "0" * 64)] = (None, Digest("sha256:" + "1" * 64))  # type: ignore[assignment]
    monkeypatch.setattr(store.records, "drop_referrers", wait_there)
    async with asyncio.TaskGroup() as group:
        group.create_task(host.images.prune({}))
        await marked.wait()
        image = await host.images.import_(stream(files({"late": "1"})), "late")
        go_on.set()
    assert (await host.images.resolve("late")).id == image
    assert await host.files("late") == {"late": "1"}


async def test_whoever_wants_what_is_being_deleted_waits_for_that_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(host.blobs, b"garbage")
    deleting, go_on = threading.Event(), threading.Event()
    real = Path.unlink

    def slow(path: Path, missing_ok: bool = False) -> None:
        if path == host.blobs.path(digest.of(b"garbage")):
            deleting.set()
            go_on.wait(60)
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", slow)
    async with asyncio.TaskGroup() as group:
        group.create_task(host.images.prune({}))
        await asyncio.to_thread(deleting.wait, 60)
        async with host.images.lease() as lease:
            await lease.hold([digest.of(b"something else")])  # does not wait
            waiting = group.create_task(lease.hold([digest.of(b"garbage")]))
            await asyncio.sleep(0)
            assert not waiting.done()
            go_on.set()
            await waiting
            assert not stored(host, b"garbage")
            await put(host.blobs, b"garbage")
            await host.images.prune({})
            assert stored(host, b"garbage")


async def test_loads_and_collections_do_not_hurt_each_other(host: Host) -> None:
    archives = [
        docker_archive([files({f"f{number}": str(number) * 70_000})], RepoTags=[f"x:{number}"]) for number in range(8)
    ]
    done = asyncio.Event()

    async def collect() -> None:
        while not done.is_set():
            await host.images.prune({})

    async with asyncio.TaskGroup() as group:
        group.create_task(collect())
        async with asyncio.TaskGroup() as loads:
            for archive in archives * 2:
                loads.create_task(loaded(host, archive))
        done.set()
    for number in range(8):
        assert await host.files(f"x:{number}") == {f"f{number}": str(number) * 70_000}


async def test_a_name_given_while_the_image_goes_is_refused_or_good(host: Host) -> None:
    for round_ in range(12):
        await host.images.import_(stream(files({"f": str(round_)})), "x")

        async def tag() -> None:
            try:
                await host.images.tag("x", "y")
            except NotFound:
                pass

        async with asyncio.TaskGroup() as group:
            group.create_task(host.images.remove("x"))
            group.create_task(tag())
        for line in await host.images.list_():
            assert await host.files(line.id) == {"f": str(round_)}
            await host.images.remove(line.id, force=True)


async def test_a_partial_is_kept_until_nobody_needs_it(host: Host) -> None:
    whole, young, old, busy = (b"whole", b"young", b"old", b"busy")
    for content in (whole, young, old):
        async with host.blobs.ingest(digest.of(content)) as ingest:
            await ingest.write(content[:3])
    folder = host.root / "content/ingest"
    week_ago = time.time() - 8 * 86_400
    for path in folder.iterdir():
        if path.read_bytes() == old[:3]:
            os.utime(path, (week_ago, week_ago))
    image = await host.images.import_(stream(files({"f": "1"})), "x")
    body = host.blobs.path(image).read_bytes()
    async with host.blobs.ingest(image) as ingest:
        await ingest.write(body[:5])
    async with host.blobs.ingest(digest.of(busy)) as ingest:
        await ingest.write(busy)
        await host.images.prune({})
        assert len(list(folder.iterdir())) == 3
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [b"busy", b"who", b"you"]


async def test_a_collection_that_fails_is_finished_by_the_next(host: Host) -> None:
    await loaded(host, docker_archive([files({"a": "1" * 70_000})]))
    with faults.armed("image.collect"), pytest.raises(HostFailure):
        await host.images.prune({"dangling": ["false"]})
    assert await host.images.list_() == []
    await host.images.prune({})
    await host.snapshots.settled()
    assert [path for path in (host.root / "snapshots").iterdir() if path.name.isdigit()] == []
    assert list((host.root / "content/blobs/sha256").iterdir()) == []


async def test_an_uncompressed_layer_of_a_platform_that_was_never_unpacked_outlives_the_image_it_came_with(
    host: Host, tmp_path: Path
) -> None:
    """Its blob is made again from the directory of the image that goes."""
    base, top = files({"base": "1" * 70_000}), tar_of(member("implied/x", b"1"), member("y", b"2" * 70_000))
    await loaded(host, docker_archive([base], RepoTags=["one:1"]))
    await loaded(host, docker_archive([top, base], RepoTags=["two:1"]))
    await host.images.remove("one:1")
    inside = b"".join([chunk async for chunk in host.images.save(["two:1"])])
    async with opened(tmp_path / "other") as other:
        await loaded(other, inside)
        assert sorted(await other.files("two:1")) == ["base", "implied/x", "y"]
    for path in (host.root / "content/blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
