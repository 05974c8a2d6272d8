"""The client against Debian's docker-registry: plain, with passwords, with tokens, with TLS and client certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright.credentials import Credentials
from dockwright.distribution import Registries, SearchFilters
from dockwright.errors import Forbidden, Invalid, NotFound, Unauthorized, Unavailable
from dockwright.oci import Descriptor, Index, describe, mediatypes, reference, write
from dockwright.oci import digest as digests
from tests.distribution.content import blob, image, options, read, write_referring
from tests.registries import PASSWORD, USERNAME, Registry, registry

KINDS = {
    "plain": {},
    "htpasswd": {"auth": "htpasswd"},
    "token": {"auth": "token"},
    "tls": {"tls": True},
    "client certificates": {"tls": True, "client_certificates": True},
    "tls and passwords": {"tls": True, "auth": "htpasswd"},
}


@pytest.fixture(scope="module", params=KINDS)
def running(request: pytest.FixtureRequest, scratch: Path) -> Iterator[Registry]:
    with registry(scratch / f"registry {request.param}", **KINDS[request.param]) as started:
        yield started


@pytest.fixture(scope="module")
def plain(scratch: Path) -> Iterator[Registry]:
    with registry(scratch / "registry") as started:
        yield started


async def test_an_image_that_was_pushed_is_pulled_byte_for_byte(running: Registry) -> None:
    made = image(3_000_000, 10, 70_000)
    async with Registries(options(running.certs_dir)) as registries:
        repository = registries.repository(reference.parse(running.name("team/tool")), running.credentials)
        await made.push(repository, "v1")
        assert await repository.resolve("v1") == made.descriptor
        assert await repository.resolve(made.descriptor.digest) == made.descriptor
        assert await repository.manifest("v1") == (made.descriptor, made.content)
        assert await repository.manifest(made.descriptor) == (made.descriptor, made.content)
        for layer in made.layers:
            assert await read(repository.blob(layer.descriptor)) == layer.content
            assert await read(repository.blob(layer.descriptor, 7)) == layer.content[7:]
            assert await read(repository.blob(layer.descriptor, layer.descriptor.size)) == b""
        assert await repository.document(made.config.descriptor) == made.config.content
        assert [tag async for tag in repository.tags()] == ["v1"]


async def test_a_blob_is_sent_once_and_mounted_from_another_repository(running: Registry) -> None:
    made = blob(2_000_000, seed=1)
    async with Registries(options(running.certs_dir)) as registries:
        first = registries.repository(reference.parse(running.name("mount/first")), running.credentials)
        second = registries.repository(reference.parse(running.name("mount/second")), running.credentials)
        assert not await first.has_blob(made.descriptor.digest)
        assert await first.push_blob(made.descriptor, made.source) == "uploaded"
        assert await first.push_blob(made.descriptor, made.source) == "exists"
        assert await first.has_blob(made.descriptor.digest)
        assert await second.push_blob(made.descriptor, made.source, mount_from=["no/such", "mount/first"]) == "mounted"
        assert await read(second.blob(made.descriptor)) == made.content
    assert made.opened == [0]
    assert made.closed == 1


async def test_what_is_not_there_is_named_as_docker_names_it(running: Registry) -> None:
    missing = digests.of(b"missing")
    async with Registries(options(running.certs_dir)) as registries:
        repository = registries.repository(reference.parse(running.name("not/there")), running.credentials)
        for wanted in ("v9", missing):
            with pytest.raises(NotFound) as caught:
                await repository.resolve(wanted)
            name = f"{running.host}/not/there{'@' if ':' in wanted else ':'}{wanted}"
            assert str(caught.value) == f"manifest for {name} not found: manifest unknown: manifest unknown"
        with pytest.raises(NotFound, match="blob unknown: blob unknown to registry"):
            await read(repository.blob(Descriptor(mediatypes.OCI_LAYER, missing, 7)))
        with pytest.raises(NotFound, match=f"repository {running.host}/not/there not found: name unknown: "):
            [tag async for tag in repository.tags()]


@pytest.mark.parametrize("chunk_bytes", [0, 300_000, 1_000_000])
async def test_a_blob_goes_up_whole_or_in_chunks(plain: Registry, chunk_bytes: int) -> None:
    made = blob(2_000_000, seed=chunk_bytes)
    sent: list[int] = []
    before = len(plain.requests())
    async with Registries(options(chunk_bytes=chunk_bytes)) as registries:
        repository = registries.repository(reference.parse(plain.name(f"chunks/{chunk_bytes}")))
        assert await repository.push_blob(made.descriptor, made.source, progress=sent.append) == "uploaded"
        assert await read(repository.blob(made.descriptor)) == made.content
    patches = [one for one in plain.requests()[before:] if one.method == "PATCH"]
    assert len(patches) == (-(-2_000_000 // chunk_bytes) if chunk_bytes else 1)
    assert sent == sorted(sent) and sent[-1] == 2_000_000
    assert made.closed == len(made.opened)


@pytest.mark.parametrize("size", [0, 1, 1000])
async def test_a_small_blob_goes_with_the_request_that_finishes(plain: Registry, size: int) -> None:
    made = blob(size, seed=3)
    before = len(plain.requests())
    async with Registries(options()) as registries:
        repository = registries.repository(reference.parse(plain.name(f"small/{size}")))
        assert await repository.push_blob(made.descriptor, made.source) == "uploaded"
        assert await read(repository.blob(made.descriptor)) == made.content
    assert not [one for one in plain.requests()[before:] if one.method == "PATCH"]


async def test_an_index_with_its_children_is_pushed_and_resolved(plain: Registry) -> None:
    children = [image(100, seed=5), image(100, seed=6)]
    index = write(Index(manifests=tuple(child.descriptor for child in children)))
    described = describe(index, mediatypes.OCI_INDEX)
    async with Registries(options()) as registries:
        repository = registries.repository(reference.parse(plain.name("multi")))
        for child in children:
            await child.push(repository, child.descriptor.digest)
        await repository.push_manifest("latest", described, index)
        assert await repository.manifest("latest") == (described, index)
        assert [tag async for tag in repository.tags()] == ["latest"]


async def test_what_refers_to_an_image_is_listed_without_a_referrers_api(plain: Registry) -> None:
    subject, other = image(100, seed=7), image(100, seed=8)
    signature = write_referring(subject.descriptor, "application/x-signature")
    report = write_referring(subject.descriptor, "application/x-report")
    async with Registries(options()) as registries:
        repository = registries.repository(reference.parse(plain.name("signed")))
        await subject.push(repository, "v1")
        await other.push(repository, "v2")
        empty = blob(0)
        await repository.push_blob(empty.descriptor, empty.source)
        for content in (signature, report, signature):
            described = describe(content, mediatypes.OCI_MANIFEST)
            await repository.push_manifest(described.digest, described, content)
        found = await repository.referrers(subject.descriptor.digest)
        assert [(one.digest, one.artifact_type) for one in found] == [
            (digests.of(signature), "application/x-signature"),
            (digests.of(report), "application/x-report"),
        ]
        only = await repository.referrers(subject.descriptor.digest, "application/x-report")
        assert [one.digest for one in only] == [digests.of(report)]
        assert await repository.referrers(other.descriptor.digest) == []


async def test_tags_and_the_catalog_are_listed_to_their_end(plain: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockwright.distribution.listing.PAGE_ENTRIES", 2)
    made = image(10, seed=9)
    async with Registries(options()) as registries:
        repository = registries.repository(reference.parse(plain.name("tags")))
        for number in range(5):
            await made.push(repository, f"v{number}")
        # This registry knows no pages of tags, and no order; its catalog has pages.
        assert sorted([tag async for tag in repository.tags()]) == ["v0", "v1", "v2", "v3", "v4"]
        names = [result.name for result in await registries.search(f"{plain.host}/TAG", limit=1)]
        assert names == [plain.name("tags")]
        assert await registries.search(f"{plain.host}/tags", filters=SearchFilters(stars=1)) == []


async def test_a_login_is_held_against_the_registry(running: Registry) -> None:
    async with Registries(options(running.certs_dir)) as registries:
        done = await registries.login(running.url + "/v1/", running.credentials)
        assert done.status == "Login Succeeded"
        assert done.identity_token == (running.tokens.identity if running.tokens else "")
        if running.username:
            with pytest.raises(Unauthorized) as caught:
                await registries.login(running.host, Credentials(USERNAME, "wrong"))
            assert PASSWORD not in str(caught.value) and "wrong" not in str(caught.value)


@pytest.mark.parametrize("running", ["htpasswd", "token", "tls and passwords"], indirect=True)
async def test_wrong_and_missing_credentials_are_refused_on_pull_and_push(running: Registry) -> None:
    made = image(100, seed=10)
    async with Registries(options(running.certs_dir)) as registries:
        repository = registries.repository(reference.parse(running.name("team/closed")), Credentials(USERNAME, "wrong"))
        with pytest.raises(Unauthorized):
            await repository.resolve("v1")
        with pytest.raises(Unauthorized):
            await made.push(repository, "v1")
        nobody = registries.repository(reference.parse(running.name("team/closed")))
        with pytest.raises((Unauthorized, Forbidden, NotFound)):
            await made.push(nobody, "v1")


async def test_without_credentials_a_password_registry_says_so_as_docker_does(scratch: Path) -> None:
    with registry(scratch / "closed", auth="htpasswd") as closed:
        async with Registries(options()) as registries:
            with pytest.raises(Unauthorized, match="^no basic auth credentials$"):
                await registries.repository(reference.parse(closed.name("a"))).resolve("b")


async def test_a_certificate_nobody_vouches_for_is_refused_by_docker_s_words(scratch: Path) -> None:
    with registry(scratch / "foreign", tls=True) as closed:
        (scratch / "other").mkdir()
        with registry(scratch / "other authority", tls=True) as other:
            folder = scratch / "other" / closed.host
            assert other.certs_dir is not None
            folder.symlink_to((other.certs_dir / other.host).resolve())
            async with Registries(options(scratch / "other")) as registries:
                with pytest.raises(Unavailable, match="x509: certificate signed by unknown authority"):
                    await registries.repository(reference.parse(closed.name("a"))).resolve("b")


async def test_a_loopback_registry_needs_no_known_certificate(scratch: Path) -> None:
    with registry(scratch / "self-signed", tls=True) as closed:
        async with Registries(options()) as registries:
            made = image(100)
            repository = registries.repository(reference.parse(closed.name("a")))
            await made.push(repository, "b")
            assert await repository.resolve("b") == made.descriptor


async def test_client_certificates_are_needed_where_the_registry_asks_for_them(scratch: Path) -> None:
    with registry(scratch / "mutual", tls=True, client_certificates=True) as closed:
        assert closed.certs_dir is not None
        for name in ("client.cert", "client.key"):
            (closed.certs_dir / closed.host / name).unlink()
        async with Registries(options(closed.certs_dir)) as registries:
            with pytest.raises(Unavailable):
                await registries.repository(reference.parse(closed.name("a"))).resolve("b")


async def test_a_client_certificate_without_its_key_is_named(scratch: Path) -> None:
    with registry(scratch / "half", tls=True, client_certificates=True) as closed:
        assert closed.certs_dir is not None
        (closed.certs_dir / closed.host / "client.key").unlink()
        async with Registries(options(closed.certs_dir)) as registries:
            with pytest.raises(Invalid, match=r"missing key client\.key for client certificate client\.cert"):
                await registries.repository(reference.parse(closed.name("a"))).resolve("b")


async def test_a_registry_that_is_not_there_is_told_at_once(scratch: Path) -> None:
    with registry(scratch / "gone") as gone:
        pass
    async with Registries(options(first_delay_s=60.0, max_delay_s=60.0)) as registries:
        with pytest.raises(Unavailable, match=rf'Get "http://{gone.host}/v2/": .*connection refused'):
            await registries.repository(reference.parse(gone.name("a"))).resolve("b")


async def test_a_pull_goes_on_when_the_registry_was_restarted(scratch: Path) -> None:
    made = blob(30_000_000, seed=13)
    with registry(scratch / "interrupted") as restarted:
        async with Registries(options(max_attempts=100, max_delay_s=0.05)) as registries:
            repository = registries.repository(reference.parse(restarted.name("a")))
            await repository.push_blob(made.descriptor, made.source)
            stream = repository.blob(made.descriptor)
            got = await anext(stream)
            restarted.stop()
            restarted.start()
            assert got + await read(stream) == made.content
    statuses = [one.status for one in restarted.requests() if one.method == "GET" and "/blobs/sha256" in one.path]
    assert statuses[-1] == 206, "only what was missing was sent again"


async def test_a_push_goes_on_when_the_registry_was_restarted(scratch: Path) -> None:
    made = image(2_000_000, seed=12)
    with registry(scratch / "restarted") as restarted:
        async with Registries(options(max_attempts=100, max_delay_s=0.05)) as registries:
            repository = registries.repository(reference.parse(restarted.name("a")))
            assert not await repository.has_blob(made.config.descriptor.digest)
            restarted.stop()
            restarted.start()
            await made.push(repository, "b")
            assert await repository.manifest("b") == (made.descriptor, made.content)
