"""Downloads over connections that break and from registries that lie: resumed, or a clear error, and never a byte too many."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from dockwright import errors
from dockwright.credentials import Credentials
from dockwright.distribution import Registries, Repository
from dockwright.errors import Corrupt, Invalid, NotFound, Unavailable
from dockwright.oci import Descriptor, describe, mediatypes, reference
from dockwright.oci import digest as digests
from tests.distribution.content import Blob, blob, image, of, options, read
from tests.registries import Registry, registry
from tests.webserver import Between, Exchange, WebServer

SIZE = 3_000_000
BLOBS = r"GET /v2/.*/blobs/"


@pytest.fixture(scope="module")
def behind(scratch: Path) -> Iterator[Registry]:
    with registry(scratch / "behind") as started:
        yield started


@pytest.fixture
def between(behind: Registry) -> Iterator[Between]:
    with Between(behind.host) as server:
        yield server


@pytest.fixture
async def layer(behind: Registry) -> Blob:
    made = blob(SIZE, seed=1)
    async with Registries(options()) as registries:
        await registries.repository(reference.parse(behind.name("a"))).push_blob(made.descriptor, made.source)
    return made


def repository(registries: Registries, host: str) -> Repository:
    return registries.repository(reference.parse(f"{host}/a"))


async def test_a_broken_connection_goes_on_where_it_stopped(between: Between, layer: Blob) -> None:
    between.misbehave(BLOBS, lambda exchange: between.cut_after(exchange, 1_200_000))
    between.misbehave(BLOBS, lambda exchange: between.cut_after(exchange, 0))
    between.misbehave(BLOBS, lambda exchange: between.cut_after(exchange, 500_000))
    async with Registries(options()) as registries:
        assert await read(repository(registries, between.host).blob(layer.descriptor)) == layer.content
    starts = [int(re.findall(r"\d+", one.headers.get("Range") or "bytes=0-")[0]) for one in between.asked(BLOBS)]
    assert starts[0] == 0 and starts == sorted(starts) and starts[-1] > 0 and len(starts) == 4


@pytest.mark.parametrize("seed", range(12))
async def test_through_any_weather_a_blob_arrives_whole(between: Between, layer: Blob, seed: int) -> None:
    dice = random.Random(seed)

    def whole(exchange: Exchange) -> None:
        del exchange.headers["Range"]
        between.cut_after(exchange, dice.randrange(SIZE))

    def overlapping(exchange: Exchange) -> None:
        start = max(
            0, int(re.findall(r"\d+", exchange.headers.get("Range") or "bytes=0-")[0]) - dice.randrange(1, 1000)
        )
        del exchange.headers["Range"]
        exchange.headers["Range"] = f"bytes={start}-"
        between.cut_after(exchange, dice.randrange(SIZE))

    def overloaded(exchange: Exchange) -> None:
        exchange.send(dice.choice([500, 502, 503, 429]))

    def cut(exchange: Exchange) -> None:
        between.cut_after(exchange, dice.randrange(SIZE))

    for _ in range(10):
        between.misbehave(BLOBS, dice.choice([whole, overlapping, overloaded, cut, cut]))
    start = dice.choice([0, dice.randrange(SIZE)])
    async with Registries(options(max_attempts=100)) as registries:
        got = await read(repository(registries, between.host).blob(layer.descriptor, start))
    assert got == layer.content[start:]


async def test_a_server_that_knows_no_ranges_is_read_again_and_skipped(between: Between, layer: Blob) -> None:
    def whole(exchange: Exchange) -> None:
        del exchange.headers["Range"]
        between.reply(exchange, between.forward(exchange))

    between.misbehave(BLOBS, lambda exchange: between.cut_after(exchange, 1_000_001))
    between.misbehave(BLOBS, whole)
    async with Registries(options()) as registries:
        assert await read(repository(registries, between.host).blob(layer.descriptor)) == layer.content


async def test_a_registry_that_always_stops_in_the_middle_is_given_up(between: Between, layer: Blob) -> None:
    between.misbehave(BLOBS, lambda exchange: between.cut_after(exchange, 10), times=1000)
    async with Registries(options(max_attempts=4)) as registries:
        with pytest.raises(Unavailable, match="connection broke"):
            await read(repository(registries, between.host).blob(layer.descriptor))
    assert len(between.asked(BLOBS)) == 4


async def test_a_body_without_length_that_ends_early_is_not_taken_for_the_blob(between: Between, layer: Blob) -> None:
    def short(exchange: Exchange) -> None:
        exchange.head(200, {"Transfer-Encoding": "chunked"})
        exchange.raw(b"a\r\n" + layer.content[:10] + b"\r\n0\r\n\r\n")

    between.misbehave(BLOBS, short, times=1000)
    async with Registries(options(max_attempts=3)) as registries:
        with pytest.raises(Unavailable, match=f"ended after 10 of {SIZE} bytes"):
            await read(repository(registries, between.host).blob(layer.descriptor))


async def test_an_endless_body_is_cut_at_the_blob_s_size(between: Between, layer: Blob) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.head(200, {"Transfer-Encoding": "chunked"})
        for start in range(0, 10 * SIZE, 100_000):
            part = layer.content[start % SIZE :][:100_000]
            exchange.raw(b"%x\r\n" % len(part) + part + b"\r\n")

    between.misbehave(BLOBS, endless)
    got = 0
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match=f"sends more than its {SIZE} bytes"):
            async for chunk in repository(registries, between.host).blob(layer.descriptor):
                got += len(chunk)
    assert got <= SIZE


@pytest.mark.parametrize("size", [1, SIZE - 1, SIZE + 1])
async def test_a_blob_of_another_size_than_promised_is_refused_before_its_body(
    between: Between, layer: Blob, size: int
) -> None:
    lied = Descriptor(layer.descriptor.media_type, layer.descriptor.digest, size)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match=f"has {SIZE} bytes at the registry instead of {size}"):
            await read(repository(registries, between.host).blob(lied))


async def test_another_range_than_was_asked_for_is_refused(between: Between, layer: Blob) -> None:
    def other(exchange: Exchange) -> None:
        exchange.send(206, {"Content-Range": f"bytes 2000000-{SIZE - 1}/{SIZE}"}, layer.content[2_000_000:])

    between.misbehave(BLOBS, other)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match="another range"):
            await read(repository(registries, between.host).blob(layer.descriptor, 1000))


async def test_a_range_beyond_what_the_registry_has_is_a_lie_about_the_size(behind: Registry, layer: Blob) -> None:
    longer = Descriptor(layer.descriptor.media_type, layer.descriptor.digest, SIZE * 2)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match=f"holds less than {SIZE * 2} bytes"):
            await read(repository(registries, behind.host).blob(longer, SIZE + 1))


async def test_a_document_with_another_digest_is_refused(between: Between) -> None:
    config = of(b"{}", mediatypes.OCI_CONFIG)
    between.misbehave(BLOBS, lambda exchange: exchange.send(200, {}, b"[]"))
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match=config.descriptor.digest):
            await repository(registries, between.host).document(config.descriptor)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
async def test_an_overloaded_registry_is_asked_again(between: Between, layer: Blob, status: int) -> None:
    between.misbehave(BLOBS, lambda exchange: exchange.send(status), times=3)
    async with Registries(options()) as registries:
        assert await read(repository(registries, between.host).blob(layer.descriptor)) == layer.content
    assert len(between.asked(BLOBS)) == 4


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_beyond_our_patience_ends_at_once(between: Between, layer: Blob, form: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    value = "3600" if form == "seconds" else later
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
    between.misbehave(BLOBS, lambda exchange: exchange.send(429, {"Retry-After": value}, body), times=9)
    async with Registries(options()) as registries:
        with pytest.raises(Unavailable, match=r"^toomanyrequests: You have reached your pull rate limit\.$"):
            await read(repository(registries, between.host).blob(layer.descriptor))
    assert len(between.asked(BLOBS)) == 1


async def test_retry_after_is_waited_for(between: Between, layer: Blob, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def wait(delay: float) -> None:
        waited.append(delay)

    monkeypatch.setattr("dockwright.distribution.backoff.asyncio.sleep", wait)
    between.misbehave(BLOBS, lambda exchange: exchange.send(429, {"Retry-After": "7"}), times=2)
    async with Registries(options()) as registries:
        assert await read(repository(registries, between.host).blob(layer.descriptor)) == layer.content
    assert waited == [7.0, 7.0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_to_storage_are_followed_without_our_credentials(
    between: Between, layer: Blob, status: int
) -> None:
    def storage(exchange: Exchange) -> None:
        exchange.send(200, {}, layer.content)

    with WebServer(storage) as elsewhere:
        signed = f"{elsewhere.url}/bucket/x%2Fy?sig=a%2Bb%3D&x=%C3%BC"
        between.misbehave(BLOBS, lambda exchange: exchange.send(status, {"Location": signed}))
        async with Registries(options()) as registries:
            mine = registries.repository(reference.parse(f"{between.host}/a"), Credentials(registry_token="secret"))
            assert await read(mine.blob(layer.descriptor)) == layer.content
        (asked,) = elsewhere.requests
    assert asked.headers.get("Authorization") is None
    assert asked._handler.path == "/bucket/x%2Fy?sig=a%2Bb%3D&x=%C3%BC"
    assert between.asked(BLOBS)[0].headers.get("Authorization") == "Bearer secret"


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/", "", "http://[", "http://a:99999999/", "data:,x"],
)
async def test_redirects_to_anything_but_http_are_refused(between: Between, layer: Blob, location: str) -> None:
    between.misbehave(BLOBS, lambda exchange: exchange.send(307, {"Location": location}))
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match="redirected to"):
            await read(repository(registries, between.host).blob(layer.descriptor))


async def test_redirects_in_a_circle_come_to_an_end(between: Between, layer: Blob) -> None:
    between.misbehave(BLOBS, lambda exchange: exchange.send(307, {"Location": exchange.path}), times=100)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match="stopped after 10 redirects"):
            await read(repository(registries, between.host).blob(layer.descriptor))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nBad\x00Header\r\n\r\n",
        b"HTTP/1.1 999999 Odd\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    ],
)
async def test_hostile_answers_are_errors_of_ours(between: Between, layer: Blob, answer: bytes) -> None:
    def hostile(exchange: Exchange) -> None:
        exchange.raw(answer)
        exchange.cut()

    between.misbehave(BLOBS, hostile, times=100)
    async with Registries(options(max_attempts=2)) as registries:
        with pytest.raises((Corrupt, Unavailable)) as caught:
            await read(repository(registries, between.host).blob(layer.descriptor))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


async def test_what_a_registry_says_of_an_error_cannot_reach_a_terminal_as_control(
    between: Between, layer: Blob
) -> None:
    body = b'{"errors":[{"code":"DENIED\\u001b[31m","message":"\\u001b[2Jgone\\r\\nX: y' + b"a" * 50_000 + b'"}]}'
    between.misbehave(BLOBS, lambda exchange: exchange.send(403, {}, body))
    async with Registries(options()) as registries:
        with pytest.raises(errors.Forbidden) as caught:
            await read(repository(registries, between.host).blob(layer.descriptor))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 2000


async def test_compressed_bodies_are_taken_as_they_are(between: Between, layer: Blob) -> None:
    between.misbehave(BLOBS, lambda exchange: exchange.send(200, {"Content-Encoding": "gzip"}, layer.content))
    async with Registries(options()) as registries:
        assert await read(repository(registries, between.host).blob(layer.descriptor)) == layer.content
    assert between.asked(BLOBS)[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_manifest_under_another_digest_is_refused(between: Between, method: str) -> None:
    made, other = image(1, seed=3), image(1, seed=4)

    def lie(exchange: Exchange) -> None:
        headers = {"Content-Type": mediatypes.OCI_MANIFEST, "Docker-Content-Digest": other.descriptor.digest}
        exchange.send(200, headers, other.content)

    between.misbehave(rf"{method} .*/manifests/", lie, times=2)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match=made.descriptor.digest):
            if method == "HEAD":
                await repository(registries, between.host).resolve(made.descriptor.digest)
            await repository(registries, between.host).manifest(made.descriptor.digest)


ODD_MANIFESTS = {
    "another digest in the header": ({"Docker-Content-Digest": digests.of(b"x")}, image(1).content, Corrupt),
    "no digest at all": ({"Docker-Content-Digest": "sha256:../../x"}, image(1).content, Corrupt),
    "not JSON": ({}, b"<html>sign in</html>", Invalid),
    "no manifest": ({}, b'{"a":1}', Invalid),
    "schema 1": ({}, b'{"schemaVersion":1,"fsLayers":[],"history":[]}', Invalid),
    "both kinds": ({}, b'{"manifests":[],"config":{},"layers":[]}', Invalid),
    "an index called a manifest": (
        {"Content-Type": mediatypes.OCI_MANIFEST},
        b'{"schemaVersion":2,"manifests":[]}',
        Corrupt,
    ),
    "one type in the header and one in the body": (
        {"Content-Type": mediatypes.DOCKER_MANIFEST},
        image(1).content,
        Corrupt,
    ),
    "too long": ({}, b"{" + b" " * 9_000_000 + b"}", Corrupt),
}


@pytest.mark.parametrize("name", ODD_MANIFESTS)
async def test_a_manifest_that_is_not_what_it_claims_is_refused(between: Between, name: str) -> None:
    headers, body, error = ODD_MANIFESTS[name]
    between.misbehave(".*/manifests/", lambda exchange: exchange.send(200, headers, body), times=2)
    async with Registries(options()) as registries:
        with pytest.raises(error):
            await repository(registries, between.host).manifest("latest")


async def test_a_manifest_of_another_size_or_type_than_its_descriptor_is_refused(between: Between) -> None:
    made = image(1, seed=5)
    between.misbehave(".*/manifests/", lambda exchange: exchange.send(200, {}, made.content), times=2)
    async with Registries(options()) as registries:
        a = repository(registries, between.host)
        with pytest.raises(Corrupt, match="instead of 5"):
            await a.manifest(Descriptor(mediatypes.OCI_MANIFEST, made.descriptor.digest, 5))
        with pytest.raises(Corrupt, match="is of type"):
            await a.manifest(describe(made.content, mediatypes.DOCKER_INDEX))


@pytest.mark.parametrize("status", [404, 405, 403, 500])
async def test_a_registry_without_head_is_asked_by_get(between: Between, behind: Registry, status: int) -> None:
    made = image(10, seed=6)
    async with Registries(options()) as registries:
        await made.push(repository(registries, behind.host), "head")
        between.misbehave("HEAD .*/manifests/", lambda exchange: exchange.send(status), times=1)
        assert await repository(registries, between.host).resolve("head") == made.descriptor


async def test_a_registry_that_tells_no_digest_is_resolved_by_the_document(between: Between, behind: Registry) -> None:
    made = image(10, seed=6)

    def quiet(exchange: Exchange) -> None:
        answer = between.forward(exchange)
        answer.headers.pop("Docker-Content-Digest")
        between.reply(exchange, answer)

    async with Registries(options()) as registries:
        await made.push(repository(registries, behind.host), "quiet")
        between.misbehave(".*/manifests/", quiet, times=2)
        assert await repository(registries, between.host).resolve("quiet") == made.descriptor


DENIALS = {
    "a code": (403, {}, b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'),
    "a bare 403": (403, {}, b""),
    "a scope that is missing": (403, {"WWW-Authenticate": 'Bearer realm="x",error="insufficient_scope"'}, b"{}"),
}


@pytest.mark.parametrize("name", DENIALS)
async def test_a_denied_pull_hides_whether_the_repository_exists(between: Between, name: str) -> None:
    status, headers, body = DENIALS[name]
    between.misbehave(".*/manifests/", lambda exchange: exchange.send(status, headers, body), times=2)
    async with Registries(options()) as registries:
        with pytest.raises(NotFound) as caught:
            await repository(registries, between.host).resolve("x")
    assert str(caught.value) == (
        f"pull access denied for {between.host}/a, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied"
    )


PAGES = {
    "in a circle": '</v2/a/tags/list?n=1000>; rel="next"',
    "on another host": '<http://127.0.0.1:1/v2/a/tags/list>; rel="next"',
    "in a file": '<file:///etc/passwd>; rel="next"',
}


@pytest.mark.parametrize("name", PAGES)
async def test_pages_that_lead_astray_are_refused(between: Between, name: str) -> None:
    def page(exchange: Exchange) -> None:
        exchange.send(200, {"Link": PAGES[name]}, b'{"name":"a","tags":["t"]}')

    between.misbehave(".*/tags/list", page, times=100)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt):
            [tag async for tag in repository(registries, between.host).tags()]


async def test_tags_are_read_over_all_pages(between: Between) -> None:
    def page(exchange: Exchange) -> None:
        at = int(exchange.query.get("last", "0"))
        link = {"Link": f'</v2/a/tags/list?n=2&last={at + 1}>; rel="next"'} if at < 3 else {}
        exchange.send(200, link, b'{"name":"a","tags":["t%d"]}' % at)

    between.misbehave(".*/tags/list", page, times=4)
    async with Registries(options()) as registries:
        tags = [tag async for tag in repository(registries, between.host).tags()]
    assert tags == ["t0", "t1", "t2", "t3"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tags":[1]}', b'{"tags":"x"}', b"\xff\xfe"])
async def test_a_malformed_list_is_an_error(between: Between, body: bytes) -> None:
    between.misbehave(".*/tags/list", lambda exchange: exchange.send(200, {}, body))
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt, match="malformed"):
            [tag async for tag in repository(registries, between.host).tags()]


async def test_a_registry_that_falls_silent_is_left(between: Between, layer: Blob) -> None:
    silence = threading.Event()

    def silent(exchange: Exchange) -> None:
        answer = between.forward(exchange)
        exchange.head(answer.status, answer.headers)
        exchange.raw(answer.body[:1000])
        silence.wait(30)

    between.misbehave(BLOBS, silent, times=2)
    try:
        async with Registries(options(idle_timeout_s=0.5, max_attempts=50)) as registries:
            assert await read(repository(registries, between.host).blob(layer.descriptor)) == layer.content
        assert len(between.asked(BLOBS)) >= 3
        assert between.asked(BLOBS)[-1].headers["Range"] == "bytes=2000-"
    finally:
        silence.set()


async def test_a_manifest_that_comes_by_the_drop_is_given_up(between: Between, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockwright.distribution.wire.DOCUMENT_TIMEOUT_S", 0.2)
    enough = threading.Event()

    def drop(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Length": "1000000"})
        while not enough.wait(0.01):
            exchange.raw(b" ")

    between.misbehave("GET .*/manifests/", drop, times=2)
    try:
        async with Registries(options(max_attempts=2)) as registries:
            with pytest.raises(Unavailable, match="timed out"):
                await repository(registries, between.host).manifest("latest")
    finally:
        enough.set()


async def test_a_reader_that_stops_early_leaves_no_connection(between: Between, layer: Blob) -> None:
    async with Registries(options()) as registries:
        for _ in range(3):
            stream = repository(registries, between.host).blob(layer.descriptor)
            await anext(stream)
            await stream.aclose()
