"""`LocalBlobs`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.engine.content.conformance import BlobStoreConformance

from dockwright import faults, workers
from dockwright.content import LocalBlobs, put, read
from dockwright.errors import Conflict, Corrupt, HostFailure, NotFound
from dockwright.oci import digest


@pytest.fixture
async def store(tmp_path: Path) -> LocalBlobs:
    return await LocalBlobs.open_at(tmp_path / "content")


class TestLocalBlobs(BlobStoreConformance):
    pass


async def test_opening_collects_what_a_crash_left(tmp_path: Path) -> None:
    store = await LocalBlobs.open_at(tmp_path)

    def crash() -> None:
        lost = store.begin()
        lost.write(b"lost")
        lost.close()

    await workers.quick(crash)
    async with store.ingest("kept") as ingest:
        await ingest.write(b"kept")
    async with store.ingest("old") as ingest:
        await ingest.write(b"old")
    for path in (tmp_path / "ingest").iterdir():
        if path.read_bytes() == b"old":
            os.utime(path, (time.time() - 8 * 86_400,) * 2)
    await LocalBlobs.open_at(tmp_path)
    assert [path.read_bytes() for path in (tmp_path / "ingest").iterdir()] == [b"kept"]


async def test_a_blob_that_the_disk_changed_is_corrupt(store: LocalBlobs) -> None:
    info = await put(store, b"good")
    store.path(info.digest).write_bytes(b"evil")
    with pytest.raises(Corrupt):
        await read(store, info.digest)


@pytest.mark.parametrize("step", ["content.sync", "content.rename"])
async def test_a_failure_on_the_way_in_leaves_nothing(store: LocalBlobs, tmp_path: Path, step: str) -> None:
    with faults.armed(step), pytest.raises(HostFailure):
        await put(store, b"x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await put(store, b"x")


async def test_a_worker_goes_on_with_what_is_there_and_sees_it_again(store: LocalBlobs) -> None:
    whole = os.urandom(3_000_000)
    async with store.resume("name") as partial:
        await workers.quick(partial.write, whole[:2_000_000])
    with pytest.raises(NotFound):
        await store.stat(digest.of(whole))
    async with store.resume("name") as partial:
        assert partial.offset == 2_000_000
        assert b"".join(await workers.bulk(lambda: list(partial.stored()))) == whole[:2_000_000]
        with pytest.raises(Conflict):
            async with store.ingest("name"):
                pass
        await workers.quick(partial.write, whole[2_000_000:])
        assert await workers.bulk(partial.verify, digest.of(whole), len(whole)) == digest.of(whole)
        await workers.bulk(partial.sync)
        await workers.bulk(partial.commit, digest.of(whole), len(whole))
    assert await read(store, digest.of(whole)) == whole
    async with store.resume("name") as partial:
        assert partial.offset == 0


async def test_a_partial_that_was_wrong_begins_again(store: LocalBlobs) -> None:
    async with store.resume("name") as partial:
        await workers.quick(partial.write, b"wrong")
        with pytest.raises(Corrupt):
            await workers.quick(partial.verify, digest.of(b"right"))
        await workers.quick(partial.restart)
        await workers.quick(partial.write, b"right")
        await workers.quick(partial.commit, digest.of(b"right"), 5)
    assert await read(store, digest.of(b"right")) == b"right"
