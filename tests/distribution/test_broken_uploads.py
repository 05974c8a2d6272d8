"""Uploads over connections that break and to registries with ways of their own: resumed, begun anew, or a clear error."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from yarl import URL

from dockwright.credentials import Credentials
from dockwright.distribution import Registries, Repository
from dockwright.distribution.authority import Knowledge
from dockwright.distribution.endpoints import Endpoint
from dockwright.distribution.peer import Peer
from dockwright.distribution.wire import Wire
from dockwright.errors import Corrupt, Forbidden, HostFailure, Invalid, Unavailable
from dockwright.oci import Descriptor, mediatypes, reference
from dockwright.oci import digest as digests
from tests.distribution.content import blob, image, options, write_referring
from tests.distribution.memory import MemoryRegistry
from tests.registries import registry
from tests.webserver import Between, Exchange

SIZE = 3_000_000
PATCH = r"PATCH .*/uploads/"


@pytest.fixture
def memory() -> Iterator[MemoryRegistry]:
    with MemoryRegistry() as server:
        yield server


def repository(registries: Registries, host: str) -> Repository:
    return registries.repository(reference.parse(f"{host}/a"))


def too_large(exchange: Exchange) -> None:
    """As web servers do it: answered at once, and what still comes is thrown away."""
    exchange.send(413)
    exchange.read()


async def test_a_broken_upload_goes_on_where_the_registry_has_it(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=1)
    memory.misbehave(PATCH, lambda exchange: memory.break_after(exchange, 1_234_567))
    memory.misbehave(PATCH, lambda exchange: memory.break_after(exchange, 1_000_000))
    async with Registries(options()) as registries:
        assert await repository(registries, memory.host).push_blob(made.descriptor, made.source) == "uploaded"
    assert memory.blobs[made.descriptor.digest] == made.content
    assert memory.received == SIZE, "no byte was kept twice"
    assert made.opened == [0, 1_234_567, 2_234_567]
    assert made.closed == 3


@pytest.mark.parametrize("form", ["0-{}", "bytes=0-{}"])
async def test_both_forms_of_the_range_of_an_upload_are_read(memory: MemoryRegistry, form: str) -> None:
    made = blob(SIZE, seed=2)
    memory.range_form = form
    memory.misbehave(PATCH, lambda exchange: memory.break_after(exchange, 2_000_000))
    async with Registries(options()) as registries:
        await repository(registries, memory.host).push_blob(made.descriptor, made.source)
    assert made.opened == [0, 2_000_000]


async def test_an_upload_the_registry_lost_begins_anew(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=3)

    def lose(exchange: Exchange) -> None:
        memory.uploads.clear()
        exchange.cut()

    memory.misbehave(PATCH, lose, times=2)
    async with Registries(options()) as registries:
        assert await repository(registries, memory.host).push_blob(made.descriptor, made.source) == "uploaded"
    assert memory.blobs[made.descriptor.digest] == made.content


async def test_a_registry_that_loses_every_upload_is_given_up(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=4)
    memory.misbehave(PATCH, lambda exchange: (memory.uploads.clear(), exchange.cut())[0], times=1000)  # type: ignore[func-returns-value]
    async with Registries(options(max_attempts=3)) as registries:
        with pytest.raises(Unavailable):
            await repository(registries, memory.host).push_blob(made.descriptor, made.source)
    assert len(memory.asked(PATCH)) == 3
    assert made.closed == len(made.opened)


async def test_an_answer_that_got_lost_after_the_blob_was_stored_is_found_out(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=5)

    def store_silently(exchange: Exchange) -> None:
        digest = exchange.query["digest"]
        memory.blobs[digest] = bytes(memory.uploads.pop(exchange.path.rpartition("/")[2]))
        exchange.cut()

    memory.misbehave(r"PUT .*/uploads/", store_silently)
    async with Registries(options()) as registries:
        assert await repository(registries, memory.host).push_blob(made.descriptor, made.source) == "uploaded"
    assert memory.received == SIZE


async def test_chunks_are_as_long_as_the_registry_asks(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=6)
    memory.chunk_min = 2_000_000
    async with Registries(options(chunk_bytes=100_000)) as registries:
        await repository(registries, memory.host).push_blob(made.descriptor, made.source)
    ranges = [one.headers["Content-Range"] for one in memory.asked(PATCH)]
    assert ranges == ["0-1999999", "2000000-2999999"]


async def test_a_proxy_that_refuses_long_bodies_gets_chunks(
    memory: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockwright.distribution.uploads.FALLBACK_CHUNK_BYTES", 1_000_000)
    made = blob(SIZE, seed=7)
    memory.misbehave(PATCH, too_large)
    async with Registries(options()) as registries:
        await repository(registries, memory.host).push_blob(made.descriptor, made.source)
    assert [one.headers["Content-Range"] for one in memory.asked(PATCH)][1:] == [
        "0-999999",
        "1000000-1999999",
        "2000000-2999999",
    ]
    assert memory.blobs[made.descriptor.digest] == made.content


async def test_a_proxy_that_refuses_every_body_is_told_of(
    memory: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockwright.distribution.uploads.FALLBACK_CHUNK_BYTES", 1_000_000)
    made = blob(SIZE, seed=8)
    memory.misbehave(PATCH, too_large, times=100)
    async with Registries(options()) as registries:
        with pytest.raises(Invalid, match="1000000 bytes is too large"):
            await repository(registries, memory.host).push_blob(made.descriptor, made.source)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_an_overloaded_registry_is_asked_again(memory: MemoryRegistry, status: int) -> None:
    made = image(SIZE, seed=9)
    for pattern in ("HEAD", "POST", "PATCH", "PUT .*/uploads/", "PUT .*/manifests/"):
        memory.misbehave(pattern, lambda exchange: (exchange.read(), exchange.send(status))[1], times=2)  # type: ignore[func-returns-value]
    async with Registries(options()) as registries:
        await made.push(repository(registries, memory.host), "latest")
    assert memory.manifests["latest"][1] == made.content


async def test_a_registry_that_counts_wrong_is_given_up(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=10)
    memory.range_form = "0-5"
    async with Registries(options(max_attempts=3)) as registries:
        with pytest.raises(Unavailable):
            await repository(registries, memory.host).push_blob(made.descriptor, made.source)


async def test_a_registry_that_finds_another_digest_says_so(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=11)
    lied = Descriptor(mediatypes.OCI_LAYER, digests.of(b"other"), SIZE)
    async with Registries(options()) as registries:
        with pytest.raises(Invalid, match="digest invalid: it is another"):
            await repository(registries, memory.host).push_blob(lied, made.source)


@pytest.mark.parametrize("claimed", [SIZE - 1, SIZE + 1])
async def test_content_of_another_size_than_promised_is_not_pushed(memory: MemoryRegistry, claimed: int) -> None:
    made = blob(SIZE, seed=12)
    lied = Descriptor(mediatypes.OCI_LAYER, made.descriptor.digest, claimed)
    async with Registries(options()) as registries:
        with pytest.raises((Corrupt, Invalid)):
            await repository(registries, memory.host).push_blob(lied, made.source)
    assert not memory.blobs


async def test_what_the_source_raises_is_raised_as_it_is(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=13)

    async def failing(offset: int) -> AsyncGenerator[bytes, None]:
        yield made.content[:100_000]
        raise HostFailure("the disk is gone")

    async with Registries(options()) as registries:
        with pytest.raises(HostFailure, match="the disk is gone"):
            await repository(registries, memory.host).push_blob(made.descriptor, failing)
    assert not memory.uploads, "the registry was told that nothing more comes"


@pytest.mark.parametrize("seed", range(12))
async def test_through_any_weather_a_blob_arrives_whole(memory: MemoryRegistry, seed: int) -> None:
    made = blob(500_000, seed=seed)
    dice = random.Random(seed)

    def answer_gets_lost(exchange: Exchange) -> None:
        exchange.send = lambda *_, **__: exchange.cut()  # type: ignore[method-assign]
        memory.honest(exchange)

    def breaks(exchange: Exchange) -> None:
        if exchange.method == "PATCH" and exchange.path.rpartition("/")[2] in memory.uploads:
            memory.break_after(exchange, dice.randrange(1, 400_000))
        else:
            exchange.cut()

    def loses_everything(exchange: Exchange) -> None:
        memory.uploads.clear()
        memory.honest(exchange)

    def overloaded(exchange: Exchange) -> None:
        exchange.read()
        exchange.send(dice.choice([500, 502, 503, 429]))

    troubles = [answer_gets_lost, breaks, breaks, loses_everything, overloaded]
    for _ in range(12):
        for trouble in dice.sample([*troubles, *[memory.honest] * 5], 4):
            memory.misbehave("(HEAD|POST|PATCH|PUT|GET) /v2/a/", trouble)
    async with Registries(
        options(max_attempts=100, chunk_bytes=dice.choice([0, 100_000]), monolithic_bytes=0)
    ) as registries:
        assert await repository(registries, memory.host).push_blob(made.descriptor, made.source) in (
            "uploaded",
            "exists",
        )
    assert memory.blobs[made.descriptor.digest] == made.content
    assert made.closed == len(made.opened)


async def test_a_mount_that_was_tried_in_vain_becomes_the_upload(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=14)
    async with Registries(options()) as registries:
        a = repository(registries, memory.host)
        assert await a.push_blob(made.descriptor, made.source, mount_from=["unknown", "a"]) == "uploaded"
        memory.misbehave("HEAD", lambda exchange: exchange.send(404))
        assert await a.push_blob(made.descriptor, made.source, mount_from=["unknown", "known"]) == "mounted"
    assert len(memory.asked("POST")) == 3
    assert not memory.uploads, "an upload that a failed mount began was told to end"


async def test_a_location_on_another_host_gets_no_credentials(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=15)
    with MemoryRegistry() as storage:
        storage.uploads["7"] = bytearray()
        location = {"Location": f"{storage.url}/v2/a/blobs/uploads/7?state=x"}
        memory.misbehave("POST", lambda exchange: exchange.send(202, location))
        async with Registries(options()) as registries:
            name = reference.parse(f"{memory.host}/a")
            mine = registries.repository(name, Credentials(registry_token="secret"))
            assert await mine.push_blob(made.descriptor, made.source) == "uploaded"
        assert storage.blobs[made.descriptor.digest] == made.content
        assert {one.headers.get("Authorization") for one in storage.requests} == {None}
    assert memory.asked("POST")[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("location", ["", "file:///tmp/x", "http://[", "ftp://127.0.0.1/x"])
async def test_an_unusable_location_is_refused(memory: MemoryRegistry, location: str) -> None:
    made = blob(SIZE, seed=16)
    memory.misbehave("POST", lambda exchange: exchange.send(202, {"Location": location}), times=9)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match="location"):
            await repository(registries, memory.host).push_blob(made.descriptor, made.source)


async def test_a_refused_push_is_told_in_docker_s_words(memory: MemoryRegistry) -> None:
    made = blob(SIZE, seed=17)
    memory.misbehave("POST", lambda exchange: exchange.send(403, {}, b'{"errors":[{"code":"DENIED"}]}'))
    async with Registries(options()) as registries:
        with pytest.raises(Forbidden, match="^denied: requested access to the resource is denied$"):
            await repository(registries, memory.host).push_blob(made.descriptor, made.source)


async def test_a_manifest_stored_under_another_digest_is_an_error(memory: MemoryRegistry) -> None:
    made = image(10, seed=18)
    other = {"Docker-Content-Digest": digests.of(b"other")}
    memory.misbehave("PUT .*/manifests/", lambda exchange: (exchange.read(), exchange.send(201, other))[1])  # type: ignore[func-returns-value]
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match="stored"):
            await made.push(repository(registries, memory.host), "latest")


async def test_referrers_are_listed_by_the_api_where_there_is_one(memory: MemoryRegistry) -> None:
    subject = image(10, seed=19)
    signature = write_referring(subject.descriptor, "application/x-signature")
    async with Registries(options()) as registries:
        a = repository(registries, memory.host)
        await subject.push(a, "latest")
        described = Descriptor(mediatypes.OCI_MANIFEST, digests.of(signature), len(signature))
        await a.push_manifest(described.digest, described, signature)
        for wanted in ("", "application/x-signature"):
            assert [one.digest for one in await a.referrers(subject.descriptor.digest, wanted)] == [described.digest]
        assert await a.referrers(subject.descriptor.digest, "application/x-other") == []
    assert not [name for name in memory.manifests if name.startswith("sha256-")], "no list by tag was needed"


async def test_docker_s_registry_that_breaks_in_the_middle_gets_the_blob_whole(scratch: Path) -> None:
    made = blob(SIZE, seed=20)

    def cut(exchange: Exchange) -> None:
        exchange.read(1_000_000)
        exchange.cut()

    with registry(scratch / "breaks") as behind, Between(behind.host) as between:
        between.misbehave(PATCH, cut, times=2)
        async with Registries(options()) as registries:
            assert await repository(registries, between.host).push_blob(made.descriptor, made.source) == "uploaded"
            assert await repository(registries, behind.host).has_blob(made.descriptor.digest)


async def test_a_registry_behind_a_proxy_that_ends_tls_keeps_its_scheme() -> None:

    endpoint = Endpoint(URL("https://registry.example/v2/"), "registry.example", True)
    peer = Peer(Wire(options()), Knowledge(), endpoint, Credentials())
    url = URL("https://registry.example/v2/a/blobs/uploads/")
    assert peer.resolve(url, "http://registry.example/v2/x?a=%2B") == URL(
        "https://registry.example/v2/x?a=%2B", encoded=True
    )
    with pytest.raises(Corrupt, match="without TLS"):
        peer.resolve(url, "http://other.example/v2/x")
