"""The seam to where blobs are kept outside: one conformance test over directories and registries; caches of any content."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.build.conftest import Bench
from tests.registries import registry

from dockwright.build.blobs import OpenBlob, Reader, Writer
from dockwright.build.remote_cache import DirectoryPlace, form
from dockwright.build.remote_cache.places import RegistryPlace
from dockwright.errors import Conflict, Corrupt, DockwrightError, Invalid, NotFound
from dockwright.oci import Descriptor, Manifest, describe, mediatypes, reference, write
from dockwright.oci import digest as digests

CONTENT = os.urandom(3_000_000)


def opened(content: bytes, asked: list[int] | None = None) -> OpenBlob:
    async def chunks(offset: int) -> AsyncGenerator[bytes, None]:
        if asked is not None:
            asked.append(offset)
        for start in range(offset, len(content), 100_000):
            yield content[start : start + 100_000]

    return chunks


async def cut_short(offset: int) -> AsyncGenerator[bytes, None]:
    yield CONTENT[:1000]
    raise Conflict("cut short")


class Both(Reader, Writer):
    """What a place is here."""


@pytest.fixture(params=["directory", "registry"])
def place(request: pytest.FixtureRequest, tmp_path: Path, bench: Bench) -> Iterator[Both]:
    """A place that holds nothing yet."""
    if request.param == "directory":
        yield DirectoryPlace(tmp_path / "cache")  # type: ignore[misc]
        return
    with registry(tmp_path) as running:
        name = reference.parse(running.name("cache:latest"))
        yield RegistryPlace(bench.engine.images.products.repository(name), name)  # type: ignore[misc]


@pytest.mark.root
async def test_what_is_put_into_a_place_is_read_from_it(place: Both) -> None:
    with pytest.raises(NotFound):
        await place.manifest()
    blob = describe(CONTENT, mediatypes.OCI_LAYER)
    with pytest.raises(Conflict, match="cut short"):
        await place.put(blob, cut_short)
    with pytest.raises(DockwrightError):
        await place.put(describe(b"another", mediatypes.OCI_LAYER), opened(b"as long"))
    asked: list[int] = []
    for _ in range(2):
        await place.put(blob, opened(CONTENT, asked))
    assert asked == [0], "what is there is not asked for again"
    config = describe(b"{}", form.CONFIG)
    await place.put(config, opened(b"{}"))
    body = write(Manifest(config, (blob,)))
    manifest = describe(body, mediatypes.OCI_MANIFEST)
    await place.finish(manifest, body)
    found, content = await place.manifest()
    assert (found.digest, content) == (manifest.digest, body)
    assert await place.document(config) == b"{}"
    async with aclosing(place.blob(blob)) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == CONTENT
    with pytest.raises(NotFound):
        async with aclosing(place.blob(Descriptor("", digests.of(b"nothing"), 7))) as chunks:
            _ = [chunk async for chunk in chunks]
    other = write(Manifest(config))
    await place.finish(describe(other, mediatypes.OCI_MANIFEST), other)
    assert (await place.manifest())[1] == other
    assert place.name


async def test_a_directory_keeps_what_other_tags_mean_and_leaves_no_half_blobs(tmp_path: Path) -> None:
    one, two = DirectoryPlace(tmp_path, "one"), DirectoryPlace(tmp_path, "two")
    bodies = [write(Manifest(describe(name, form.CONFIG))) for name in (b"1", b"2")]
    for place, body in zip((one, two), bodies, strict=True):
        await place.finish(describe(body, mediatypes.OCI_MANIFEST), body)
        with pytest.raises(Conflict):
            await place.put(describe(CONTENT, ""), cut_short)
    assert [(await place.manifest())[1] for place in (one, two)] == bodies
    assert (await DirectoryPlace(tmp_path, digest=digests.of(bodies[1])).manifest())[1] == bodies[1]
    assert not list(tmp_path.rglob(".*"))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_cache_or_corrupt(content: bytes) -> None:
    try:
        form.read(content, [])
        form.read_inline(content, [])
    except Corrupt:
        pass


_NUMBERS = st.integers(-3, 4)
_LAYERS = st.lists(
    st.fixed_dictionaries(
        {
            "blob": st.sampled_from(["a", "b"]),
            "parent": _NUMBERS,
            "annotations": st.just({"diffID": "sha256:" + 64 * "0"}),
        }
    ),
    max_size=4,
)
_RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "digest": st.text(max_size=3),
            "layers": st.lists(st.fixed_dictionaries({"layer": _NUMBERS}), max_size=2),
            "chains": st.lists(st.fixed_dictionaries({"layers": st.lists(_NUMBERS, max_size=3)}), max_size=2),
        }
    ),
    max_size=3,
)


@given(_LAYERS, _RECORDS)
def test_any_links_between_layers_come_to_an_end(layers: list[object], records: list[object]) -> None:
    blobs = [Descriptor(mediatypes.OCI_LAYER, digests.Digest(name), 1) for name in ("a", "b")]
    try:
        found = form.read(msgspec.json.encode({"layers": layers, "records": records}), blobs)
    except (Corrupt, Invalid):
        return
    assert all(result for result in found.values())
