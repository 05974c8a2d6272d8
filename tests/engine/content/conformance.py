"""What every `BlobStore` does. Subclass `BlobStoreConformance` and give it a `store` fixture."""

from __future__ import annotations

import hashlib
import os

import pytest

from dockwright.content import BlobStore, put, read
from dockwright.errors import Conflict, Corrupt, NotFound
from dockwright.oci import Digest
from dockwright.oci import digest as digests


class BlobStoreConformance:
    async def test_what_goes_in_comes_out(self, store: BlobStore) -> None:
        content = os.urandom(3_000_000)
        async with store.ingest() as ingest:
            for start in range(0, len(content), 70_000):
                await ingest.write(content[start : start + 70_000])
            info = await ingest.commit(digests.of(content), len(content))
        assert (info.digest, info.size_bytes) == (digests.of(content), len(content))
        assert await read(store, info.digest) == content
        assert b"".join([chunk async for chunk in store.open(info.digest, 2_999_000)]) == content[2_999_000:]

    async def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        info = await put(store, b"")
        assert await read(store, info.digest) == b""

    async def test_nothing_is_visible_before_it_is_committed(self, store: BlobStore) -> None:
        async with store.ingest() as ingest:
            await ingest.write(b"half")
            assert [info async for info in store.walk()] == []
        assert [info async for info in store.walk()] == []

    async def test_content_that_is_not_what_was_promised_is_refused_and_gone(self, store: BlobStore) -> None:
        for digest, size in ((digests.of(b"other"), 5), (digests.of(b"these"), 4)):
            async with store.ingest("named") as ingest:
                assert ingest.offset == 0
                await ingest.write(b"these")
                with pytest.raises(Corrupt):
                    await ingest.commit(digest, size)
        assert [info async for info in store.walk()] == []

    async def test_a_named_ingest_goes_on_where_it_stopped(self, store: BlobStore) -> None:
        async with store.ingest("layer/../x") as ingest:
            await ingest.write(b"first ")
        async with store.ingest("layer/../x") as ingest:
            assert ingest.offset == 6
            await ingest.write(b"second")
            assert (await ingest.commit(digests.of(b"first second"), 12)).size_bytes == 12
        async with store.ingest("layer/../x") as ingest:
            assert ingest.offset == 0

    async def test_a_restarted_ingest_forgets(self, store: BlobStore) -> None:
        async with store.ingest("n") as ingest:
            await ingest.write(b"wrong" * 200_000)
            await ingest.restart()
            await ingest.write(b"right")
            assert (await ingest.commit()).digest == digests.of(b"right")

    async def test_one_name_is_ingested_once_at_a_time(self, store: BlobStore) -> None:
        async with store.ingest("n"):
            with pytest.raises(Conflict):
                async with store.ingest("n"):
                    pass
        async with store.ingest("n"):
            pass

    async def test_the_same_content_twice_is_one_blob(self, store: BlobStore) -> None:
        assert (await put(store, b"x")).digest == (await put(store, b"x")).digest
        assert len([info async for info in store.walk()]) == 1

    async def test_other_algorithms_are_verified_too(self, store: BlobStore) -> None:
        digest = Digest("sha512:" + hashlib.sha512(b"x").hexdigest())
        async with store.ingest() as ingest:
            await ingest.write(b"x")
            await ingest.commit(digest, 1)
        assert await read(store, digest) == b"x"

    async def test_what_is_missing_is_not_found(self, store: BlobStore) -> None:
        missing = digests.of(b"missing")
        with pytest.raises(NotFound):
            await store.stat(missing)
        with pytest.raises(NotFound):
            await read(store, missing)
        await store.delete(missing)

    async def test_a_deleted_blob_is_gone_but_read_to_its_end(self, store: BlobStore) -> None:
        info = await put(store, b"y" * 3_000_000)
        reading = store.open(info.digest)
        first = await anext(reading)
        await store.delete(info.digest)
        assert len(first) + sum([len(chunk) async for chunk in reading]) == 3_000_000
        with pytest.raises(NotFound):
            await store.stat(info.digest)
