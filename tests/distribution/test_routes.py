"""Which way a request takes: mirrors before registries, TLS where it is due, and proxies."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright.credentials import Credentials
from dockwright.distribution import Proxies, Registries, RegistryOptions, Repository, SearchFilters
from dockwright.errors import Corrupt, Forbidden, Invalid, NotFound, Unavailable, Unsupported
from dockwright.oci import reference
from tests.certificates import Authority
from tests.distribution.content import Image, image, options, read
from tests.proxyserver import ProxyServer
from tests.registries import Registry, registry
from tests.webserver import Between, Exchange, WebServer


@pytest.fixture(scope="module")
def running(scratch: Path) -> Iterator[Registry]:
    with registry(scratch / "routes") as started:
        yield started


@pytest.fixture
async def made(running: Registry) -> Image:
    """An image that lies in the registry as `library/tool:v1` and `team/tool:v1`."""
    made = image(2_000_000, seed=1)
    async with Registries(options()) as registries:
        for name in ("library/tool", "team/tool"):
            await made.push(registries.repository(reference.parse(running.name(name))), "v1")
    return made


async def pull(repository: Repository, made: Image) -> None:
    assert await repository.resolve("v1") == made.descriptor
    assert await repository.manifest("v1") == (made.descriptor, made.content)
    assert await read(repository.blob(made.layers[0].descriptor)) == made.layers[0].content


@pytest.mark.parametrize("key", ["docker.io", "*"])
async def test_a_mirror_of_the_hub_is_asked_instead_of_it(running: Registry, made: Image, key: str) -> None:
    with Between(running.host) as mirror:
        async with Registries(options(mirrors={key: (mirror.url,)})) as registries:
            await pull(registries.repository(reference.parse("tool"), Credentials("alice", "secret")), made)
        assert {one.query.get("ns") for one in mirror.asked(".*/(manifests|blobs)/")} == {"docker.io"}
        assert not any(one.headers.get("Authorization") for one in mirror.requests)


async def test_any_registry_may_have_mirrors_and_the_first_that_has_it_serves(running: Registry, made: Image) -> None:
    with registry(running.root / "empty mirror") as empty, Between(running.host) as full:
        table = {"quay.example": (f"http://{empty.host}", f"{full.url}/"), "*": ("http://127.0.0.1:1",)}
        async with Registries(options(mirrors=table)) as registries:
            await pull(registries.repository(reference.parse("quay.example/team/tool")), made)
        assert {one.query.get("ns") for one in full.requests} == {"quay.example"}
        assert len(empty.requests()) >= 3


@pytest.mark.parametrize("trouble", ["missing", "broken", "lying", "gone"])
async def test_the_registry_serves_when_its_mirror_does_not(running: Registry, made: Image, trouble: str) -> None:
    def misbehave(exchange: Exchange) -> None:
        if trouble == "missing":
            exchange.send(404)
        elif trouble == "broken":
            exchange.send(500)
        else:
            exchange.send(200, {}, b"{}")

    with WebServer(misbehave) as mirror:
        url = "http://127.0.0.1:1" if trouble == "gone" else mirror.url
        async with Registries(options(mirrors={running.host: (url,)})) as registries:
            await pull(registries.repository(reference.parse(running.name("team/tool"))), made)


async def test_a_mirror_that_stops_in_the_middle_is_gone_on_from_by_the_registry(
    running: Registry, made: Image
) -> None:
    with Between(running.host) as mirror, Between(running.host) as origin:
        mirror.misbehave("GET .*/blobs/", lambda exchange: mirror.cut_after(exchange, 1_100_000))
        mirror.misbehave("GET .*/blobs/", lambda exchange: exchange.send(404))
        async with Registries(options(mirrors={origin.host: (mirror.url,)})) as registries:
            repository = registries.repository(reference.parse(f"{origin.host}/team/tool"))
            assert await read(repository.blob(made.layers[0].descriptor)) == made.layers[0].content
        (asked,) = origin.asked("GET .*/blobs/")
        assert asked.headers["Range"].startswith("bytes=") and asked.headers["Range"] != "bytes=0-"


async def test_a_mirror_is_given_up_soon_and_rests_for_a_while(running: Registry, made: Image) -> None:
    with WebServer(lambda exchange: exchange.send(503)) as mirror:
        async with Registries(options(mirrors={"*": (mirror.url,)}, max_attempts=9)) as registries:
            await pull(registries.repository(reference.parse(running.name("team/tool"))), made)
        assert [one.method for one in mirror.requests] == ["HEAD", "HEAD"]


async def test_a_mirror_is_held_to_its_certificate_unless_it_is_on_this_host_or_listed(scratch: Path) -> None:
    made = image(10, seed=4)
    with registry(scratch / "mirror with tls", tls=True) as mirror, ProxyServer(mirror.host) as proxy:
        async with Registries(options()) as registries:
            await made.push(registries.repository(reference.parse(mirror.name("team/tool"))), "v1")
        for url, listed in ((mirror.url, ()), ("https://listed.example", ("listed.example",))):
            async with Registries(named(proxy, mirrors={"*": (url,)}, insecure=listed)) as registries:
                await pull(registries.repository(reference.parse("quay.example/team/tool")), made)
        async with Registries(named(proxy, mirrors={"*": ("https://other.example",)})) as registries:
            with pytest.raises(Unavailable, match="quay.example.*x509"):
                await registries.repository(reference.parse("quay.example/team/tool")).resolve("v1")


async def test_docker_s_registry_serves_as_a_pull_through_cache(running: Registry, made: Image) -> None:
    with registry(running.root / "cache", mirror_of=running.url) as cache:
        for _ in ("fills the cache", "is served by it"):
            async with Registries(options(mirrors={"*": (cache.url,)})) as registries:
                await pull(registries.repository(reference.parse("quay.example/team/tool")), made)
        blobs = [one for one in cache.requests() if "/blobs/" in one.path]
        assert [one.status for one in blobs] == [200, 200]


async def test_a_busy_mirror_is_not_waited_for(running: Registry, made: Image) -> None:
    with WebServer(lambda exchange: exchange.send(429, {"Retry-After": "30"})) as mirror:
        async with Registries(options(mirrors={"*": (mirror.url,)})) as registries:
            await pull(registries.repository(reference.parse(running.name("team/tool"))), made)
        assert len(mirror.requests) == 1


async def test_we_say_who_we_are(running: Registry, made: Image) -> None:
    with Between(running.host) as between:
        async with Registries(options(user_agent="tester/1")) as registries:
            await pull(registries.repository(reference.parse(f"{between.host}/team/tool")), made)
        assert {one.headers["User-Agent"] for one in between.requests} == {"tester/1"}
        async with Registries(options()) as registries:
            await registries.repository(reference.parse(f"{between.host}/team/tool")).resolve("v1")
        assert re.fullmatch(r"dockwright/[\d.]+", between.requests[-1].headers["User-Agent"])


async def test_a_push_goes_past_the_mirrors(running: Registry) -> None:
    made = image(10, seed=2)
    with Between(running.host) as mirror:
        async with Registries(options(mirrors={"*": (mirror.url,)})) as registries:
            await made.push(registries.repository(reference.parse(running.name("pushed"))), "v1")
        assert not mirror.requests


async def test_a_mirror_has_a_path_and_an_account_of_its_own(running: Registry, made: Image) -> None:
    def serve(exchange: Exchange) -> None:
        exchange._handler.path = exchange._handler.path.replace("/cache/v2/hub/", "/v2/")
        if exchange.headers.get("Authorization") is None:
            exchange.send(401, {"WWW-Authenticate": 'Basic realm="mirror"'})
        else:
            mirror.reply(exchange, mirror.forward(exchange))

    with Between(running.host) as mirror:
        mirror.handle = serve
        url = mirror.url.replace("http://", "http://bob:pa%3Ass@") + "/cache/v2/hub"
        async with Registries(options(mirrors={"docker.io": (url,)})) as registries:
            await pull(registries.repository(reference.parse("tool")), made)
        assert {one.headers.get("Authorization") for one in mirror.requests} == {None, "Basic Ym9iOnBhOnNz"}


MALFORMED_MIRRORS = ["", "host", "ftp://host", "http://", "https://h?x=y", "https://h#f", "http://[", "file:///x"]


@pytest.mark.parametrize("url", MALFORMED_MIRRORS)
def test_a_malformed_mirror_is_refused_when_it_is_set(url: str) -> None:
    with pytest.raises(Invalid, match="invalid mirror"):
        RegistryOptions(mirrors={"docker.io": (url,)})


@pytest.mark.parametrize("entry", ["http://host", "10.0.0.0/99", "a b", "", "host:port"])
def test_a_malformed_insecure_registry_is_refused_when_it_is_set(entry: str) -> None:
    with pytest.raises(Invalid, match="insecure registry"):
        RegistryOptions(insecure=(entry,))


# No name leads from a test to another host: a proxy stands for all of them, and each is our registry.


def named(proxy: ProxyServer, **further: object) -> RegistryOptions:
    return options(proxies=Proxies(proxy.url, proxy.url, "skipped.example"), **further)


async def test_a_plain_registry_by_name_is_refused_unless_it_is_listed(running: Registry, made: Image) -> None:
    with ProxyServer(running.host) as proxy:
        async with Registries(named(proxy)) as registries:
            with pytest.raises(Unavailable, match="http: server gave HTTP response to HTTPS client|tls: "):
                await registries.repository(reference.parse("plain.example:5000/team/tool")).resolve("v1")
        async with Registries(named(proxy, insecure=("plain.example:5000",))) as registries:
            await pull(registries.repository(reference.parse("plain.example:5000/team/tool")), made)
            with pytest.raises(Unavailable):
                await registries.repository(reference.parse("other.example/team/tool")).resolve("v1")


async def test_a_network_of_insecure_registries_is_listed_by_address(running: Registry, made: Image) -> None:
    with ProxyServer(running.host) as proxy:
        async with Registries(named(proxy, insecure=("192.0.2.0/24", "2001:db8::/32"))) as registries:
            for host in ("192.0.2.7:5000", "[2001:db8::1]:5000"):
                await pull(registries.repository(reference.parse(f"{host}/team/tool")), made)
            with pytest.raises(Unavailable):
                await registries.repository(reference.parse("198.51.100.7/team/tool")).resolve("v1")


async def test_an_encrypted_registry_is_reached_through_a_tunnel(scratch: Path) -> None:
    made = image(100_000, seed=3)
    with registry(scratch / "tunnel", tls=True) as encrypted, ProxyServer(encrypted.host, "bob:pa ss") as proxy:
        certs = scratch / "tunnel" / "by name"
        certs.mkdir()
        assert encrypted.certs_dir is not None
        (certs / "localhost.localdomain:443").mkdir()
        settings = options(
            certs,
            proxies=Proxies(https=proxy.url.replace("http://", "http://bob:pa%20ss@")),
            insecure=("unchecked.example",),
        )
        async with Registries(settings) as registries:
            repository = registries.repository(reference.parse("unchecked.example/tool"))
            await made.push(repository, "v1")
            await pull(repository, made)
            # The same certificate, where it is checked: it was made out to somebody else.
            with pytest.raises(Unavailable, match="x509: certificate signed by unknown authority"):
                await registries.repository(reference.parse("checked.example/tool")).resolve("v1")
        assert set(proxy.targets) == {"unchecked.example:443", "checked.example:443"}


async def test_a_certificate_for_another_name_is_refused(scratch: Path) -> None:
    with registry(scratch / "name", tls=True) as encrypted, ProxyServer(encrypted.host) as proxy:
        assert encrypted.certs_dir is not None
        (encrypted.certs_dir / "other.example").symlink_to(encrypted.certs_dir / encrypted.host)
        async with Registries(options(encrypted.certs_dir, proxies=Proxies(https=proxy.url))) as registries:
            with pytest.raises(Unavailable, match="x509: certificate is not valid for this host"):
                await registries.repository(reference.parse("other.example/tool")).resolve("v1")


async def test_a_certificate_that_expired_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server("127.0.0.1", days=-1))
    with WebServer(lambda exchange: exchange.send(200), context) as expired:
        folder = tmp_path / "certs" / expired.host
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
        async with Registries(options(tmp_path / "certs")) as registries:
            with pytest.raises(Unavailable, match="x509: certificate has expired"):
                await registries.repository(reference.parse(f"{expired.host}/tool")).resolve("v1")


async def test_a_verified_registry_cannot_redirect_to_plain_http(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server("127.0.0.1"))
    with (
        WebServer(lambda exchange: exchange.send(200)) as plain,
        WebServer(lambda exchange: exchange.send(307, {"Location": plain.url}), context) as encrypted,
    ):
        folder = tmp_path / "certs" / encrypted.host
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
        async with Registries(options(tmp_path / "certs")) as registries:
            with pytest.raises(Corrupt, match="redirected from https to http://"):
                await registries.repository(reference.parse(f"{encrypted.host}/tool")).resolve("v1")
        assert not plain.requests


async def test_a_proxy_that_refuses_us_is_named(running: Registry) -> None:
    with ProxyServer(running.host, "bob:secret") as proxy:
        async with Registries(options(proxies=Proxies(https=proxy.url))) as registries:
            with pytest.raises(Unavailable, match="the proxy answered 407"):
                await registries.repository(reference.parse("some.example/tool")).resolve("v1")


async def test_a_proxy_of_a_kind_we_do_not_speak_is_refused(running: Registry) -> None:
    async with Registries(options(proxies=Proxies(https="socks5://127.0.0.1:1"))) as registries:
        with pytest.raises(Unsupported, match="socks5"):
            await registries.repository(reference.parse("some.example/tool")).resolve("v1")


async def test_the_environment_names_the_proxy(running: Registry, made: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    with ProxyServer(running.host) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", "")
        monkeypatch.delenv("https_proxy", raising=False)
        async with Registries(options(mirrors={"quay.example": ("http://mirror.example",)})) as registries:
            await pull(registries.repository(reference.parse("quay.example/team/tool")), made)
        assert {target.partition("/v2/")[0] for target in proxy.targets} == {"http://mirror.example"}


def search_answer(exchange: Exchange) -> None:
    results = b"""{"num_results": 3, "results": [
        {"name": "tool", "description": "the tool", "star_count": 90, "is_official": true, "is_automated": false},
        {"name": "alice/tool", "description": null, "star_count": 5, "is_official": false, "is_automated": true},
        {"name": "bob/tool", "description": "", "star_count": 0, "is_official": false, "is_automated": false}]}"""
    exchange.send(200, {"Content-Type": "application/json"}, results)


async def test_a_registry_with_a_search_is_searched() -> None:
    with WebServer(search_answer) as server:
        async with Registries(options()) as registries:
            found = await registries.search(f"{server.host}/tool", limit=2)
            assert [(one.name, one.star_count, one.is_official) for one in found] == [
                ("tool", 90, True),
                ("alice/tool", 5, False),
            ]
            for filters, names in (
                (SearchFilters(is_official=True), ["tool"]),
                (SearchFilters(is_official=False), ["alice/tool", "bob/tool"]),
                (SearchFilters(is_automated=True), ["alice/tool"]),
                (SearchFilters(stars=5), ["tool", "alice/tool"]),
            ):
                assert [one.name for one in await registries.search(f"{server.host}/tool", filters=filters)] == names
        asked = server.asked("GET /v1/search")[0]
        assert asked.query == {"q": "tool", "n": "2"}


async def test_the_hub_is_searched_by_its_index(monkeypatch: pytest.MonkeyPatch) -> None:
    from yarl import URL

    with WebServer(search_answer) as server:
        monkeypatch.setattr("dockwright.distribution.searching.HUB_SEARCH", URL(f"{server.url}/v1/search"))
        async with Registries(options()) as registries:
            assert [one.name for one in await registries.search("tool", limit=1)] == ["tool"]
            assert [one.name for one in await registries.search("docker.io/library/tool", limit=1)] == ["tool"]


@pytest.mark.parametrize("limit", [-1, 101, 100_000])
async def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    async with Registries(options()) as registries:
        with pytest.raises(Invalid, match="limit"):
            await registries.search("127.0.0.1:1/tool", limit=limit)


async def test_a_catalog_that_is_closed_is_told(running: Registry) -> None:
    with WebServer(lambda exchange: exchange.send(404 if "v1" in exchange.path else 403)) as server:
        async with Registries(options()) as registries:
            with pytest.raises((Forbidden, NotFound)):
                await registries.search(f"{server.host}/tool")
