"""Bearer tokens: fetched once, kept while they are good, refreshed, and never shown to anybody they are not for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright.credentials import Credentials
from dockwright.distribution import Registries, Repository
from dockwright.errors import Corrupt, DockwrightError, Forbidden, NotFound, Unauthorized, Unavailable
from dockwright.oci import reference
from tests.distribution.content import blob, image, options, read
from tests.distribution.memory import MemoryRegistry
from tests.registries import PASSWORD, USERNAME, Registry, registry
from tests.tokenserver import TokenServer
from tests.webserver import Between, Exchange, WebServer


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "registry", auth="token") as started:
        yield started


def server(running: Registry) -> TokenServer:
    assert running.tokens is not None
    return running.tokens


def repository(registries: Registries, running: Registry, credentials: Credentials | None = None) -> Repository:
    return registries.repository(reference.parse(running.name("team/tool")), credentials or running.credentials)


async def test_a_token_is_fetched_once_for_many_requests_at_a_time(running: Registry) -> None:
    made = image(100_000, 100_000, 100_000)
    async with Registries(options()) as registries:
        mine = repository(registries, running)
        await made.push(mine, "latest")
        pushed = len(server(running).granted)
        await mine.resolve("latest")
        await asyncio.gather(*(read(mine.blob(layer.descriptor)) for layer in made.layers * 5))
    assert pushed == 1
    assert server(running).granted == [["repository:team/tool:pull,push"], ["repository:team/tool:pull"]]


async def test_a_token_that_ran_out_is_fetched_again(running: Registry) -> None:
    made = image(10)
    server(running).life_s = 1
    async with Registries(options()) as registries:
        mine = repository(registries, running)
        await made.push(mine, "latest")
        cache = mine._routes.knowledge.tokens
        before = len(server(running).granted)
        now = cache._clock()
        cache._clock = lambda: now + 2
        await mine.resolve("latest")
        await mine.resolve("latest")
    assert len(server(running).granted) == before + 2, "one second is too short to be kept for later"


async def test_a_token_the_registry_no_longer_takes_is_fetched_again(running: Registry) -> None:
    made = image(10)
    async with Registries(options()) as registries:
        mine = repository(registries, running)
        await made.push(mine, "latest")
        cache = mine._routes.knowledge.tokens
        for key, token in list(cache._tokens.items()):
            cache._tokens[key] = type(token)("stale", token.expires_s)
        assert await mine.push_blob(blob(5).descriptor, blob(5).source) == "uploaded"


async def test_challenges_and_redirects_do_not_cost_a_connection_each(running: Registry) -> None:
    made = image(1000)
    body = b'{"moved": true}'
    with Between(running.host) as between:
        between.misbehave("GET .*/blobs/", lambda one: one.send(307, {"Location": f"{one.path}?signed"}, body), times=1)
        async with Registries(options()) as registries:
            mine = registries.repository(reference.parse(f"{between.host}/a"), running.credentials)
            await made.push(mine, "latest")
            for _ in range(3):
                await mine.manifest("latest")
            await read(mine.blob(made.layers[0].descriptor))
            with pytest.raises(NotFound):
                await mine.manifest("other")
            await mine.manifest("latest")
        assert any(one.headers.get("Authorization") is None for one in between.requests), "there was a challenge"
        # One more for the attempt to speak TLS.
        assert between.accepted == 2


async def test_a_mount_asks_for_a_token_for_both_repositories(running: Registry) -> None:
    made = blob(100_000)
    async with Registries(options()) as registries:
        first = registries.repository(reference.parse(running.name("a")), running.credentials)
        await first.push_blob(made.descriptor, made.source)
        second = registries.repository(reference.parse(running.name("b")), running.credentials)
        assert await second.push_blob(made.descriptor, made.source, mount_from=["a"]) == "mounted"
    assert ["repository:a:pull", "repository:b:pull,push"] in server(running).granted


async def test_without_credentials_a_token_for_reading_is_enough_to_read(running: Registry) -> None:
    made = image(10)
    async with Registries(options()) as registries:
        await made.push(repository(registries, running), "latest")
        nobody = repository(registries, running, Credentials())
        assert await nobody.resolve("latest") == made.descriptor
        with pytest.raises((Unauthorized, Forbidden), match="denied: |unauthorized: "):
            await nobody.push_blob(blob(7).descriptor, blob(7).source)
    asked = [one for one in server(running).requests if one.headers.get("Authorization") is None]
    assert asked and not any("account" in one.query for one in asked)


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_who_may_read_without_credentials_does_so_after_somebody_else_had_to_show_them(scheme: str) -> None:
    made = image(10)

    def only_to_push(exchange: Exchange) -> None:
        if exchange.method not in ("GET", "HEAD") and exchange.headers.get("Authorization") is None:
            challenge = f'{scheme} realm="{tokens.url}/token",service="x"'
            exchange.send(401, {"WWW-Authenticate": challenge})
        else:
            memory.honest(exchange)

    def closed(exchange: Exchange) -> None:
        known = exchange.headers.get("Authorization") is not None
        exchange.send(200, {}, b'{"token":"t"}') if known else exchange.send(401)

    with MemoryRegistry() as memory, WebServer(closed) as tokens:
        memory.handle = only_to_push
        async with Registries(options()) as registries:
            name = reference.parse(f"{memory.host}/a")
            await made.push(registries.repository(name, Credentials("alice", "secret")), "v1")
            assert await registries.repository(name).resolve("v1") == made.descriptor
            with pytest.raises(Unauthorized):
                await image(10, seed=2).push(registries.repository(name), "v2")


async def test_wrong_credentials_are_told_in_the_token_server_s_words(running: Registry) -> None:
    async with Registries(options()) as registries:
        with pytest.raises(Unauthorized, match="^unauthorized: incorrect username or password$"):
            await repository(registries, running, Credentials(USERNAME, "wrong")).resolve("latest")
        with pytest.raises(Unauthorized, match="^unauthorized: incorrect username or password$"):
            await registries.login(running.host, Credentials(USERNAME, "wrong"))


async def test_an_identity_token_of_a_login_takes_the_password_s_place(running: Registry) -> None:
    made = image(10)
    async with Registries(options()) as registries:
        done = await registries.login(running.host, running.credentials)
        assert done.identity_token == server(running).identity
        mine = repository(registries, running, Credentials(identity_token=done.identity_token))
        await made.push(mine, "latest")
        again = await registries.login(running.host, Credentials(identity_token=done.identity_token))
        assert again.status == "Login Succeeded"
        with pytest.raises(Unauthorized, match="invalid identity token"):
            await repository(registries, running, Credentials(identity_token="stolen")).resolve("latest")
    posts = [one for one in server(running).requests if one.method == "POST"]
    assert posts and not any(one.query for one in posts), "an identity token is in no URL"


async def test_where_the_token_server_knows_no_post_the_identity_token_is_a_password(running: Registry) -> None:
    made = image(10)
    server(running).oauth = False
    server(running).accounts["<token>"] = "identity"
    async with Registries(options()) as registries:
        await made.push(repository(registries, running, Credentials(identity_token="identity")), "latest")


async def test_a_ready_token_is_used_as_it_is_and_nobody_is_asked(running: Registry) -> None:
    async with Registries(options()) as registries:
        mine = repository(registries, running, Credentials(registry_token="ready"))
        with pytest.raises((Unauthorized, NotFound)):
            await mine.resolve("latest")
    assert not server(running).requests


async def test_an_overloaded_token_server_is_asked_again(running: Registry) -> None:
    made = image(10)
    honest, failed = server(running).handle, []

    def overloaded(exchange: Exchange) -> None:
        if len(failed) < 2:
            failed.append(exchange)
            exchange.send(503)
        else:
            honest(exchange)

    server(running).handle = overloaded
    async with Registries(options()) as registries:
        await made.push(repository(registries, running), "latest")
    assert len(failed) == 2


ODD_ANSWERS = [
    b"",
    b"[]",
    b"{}",
    b'{"token":""}',
    b'{"token":"a b"}',
    b'{"token":"a\\nX: y"}',
    b'{"token":7}',
    b"x" * 2_000_000,
]


@pytest.mark.parametrize("body", ODD_ANSWERS)
async def test_an_odd_answer_of_the_token_server_is_an_error(running: Registry, body: bytes) -> None:
    server(running).handle = lambda exchange: exchange.send(200, {}, body)
    async with Registries(options()) as registries:
        with pytest.raises(Corrupt):
            await repository(registries, running).resolve("latest")


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "", "nowhere", "http://", "ftp://x/", "http://[::1"])
async def test_a_realm_that_is_no_web_address_is_refused(realm: str) -> None:
    def challenge(exchange: Exchange) -> None:
        exchange.send(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'})

    with WebServer(challenge) as odd:
        async with Registries(options()) as registries:
            with pytest.raises((Corrupt, Unauthorized)):
                await registries.repository(reference.parse(f"{odd.host}/a"), Credentials("a", "b")).resolve("x")


async def test_a_registry_that_asks_again_and_again_is_asked_twice() -> None:
    with WebServer(lambda exchange: exchange.send(200, {}, b'{"token":"t"}')) as tokens:

        def never(exchange: Exchange) -> None:
            exchange.send(401, {"WWW-Authenticate": f'Bearer realm="{tokens.url}/t",service="x",scope="a:b:c"'})

        with WebServer(never) as odd:
            async with Registries(options()) as registries:
                with pytest.raises(Unauthorized, match="unauthorized: authentication required"):
                    await registries.repository(reference.parse(f"{odd.host}/a"), Credentials("a", "b")).manifest("x")
            assert len(odd.asked("GET /v2/a/")) == 2
            asked = [one for one in tokens.requests if "a:b:c" in one._handler.path.replace("%3A", ":")]
    assert asked, "the scope the registry names itself is asked for"


async def test_the_password_goes_to_nobody_but_registry_and_token_server(running: Registry) -> None:
    """A redirect of the registry to another host takes no credentials along, nor does one of the token server."""
    seen: list[str] = []

    def collect(exchange: Exchange) -> None:
        seen.extend(value for name, value in exchange.headers.items() if name.lower() == "authorization")
        exchange.send(404)

    with WebServer(collect) as elsewhere:
        server(running).handle = lambda exchange: exchange.send(307, {"Location": f"{elsewhere.url}/steal"})
        async with Registries(options()) as registries:
            with pytest.raises(DockwrightError) as caught:
                await repository(registries, running).resolve("latest")
        assert elsewhere.requests and seen == []
    assert PASSWORD not in str(caught.value)


async def test_a_token_server_without_tls_gets_nothing_from_a_registry_with_tls(tmp_path: Path) -> None:
    with registry(tmp_path / "tls", auth="token", tls=True) as running:
        async with Registries(options(running.certs_dir)) as registries:
            with pytest.raises(Forbidden, match="token server without TLS"):
                await repository(registries, running).resolve("latest")
        assert not server(running).requests


async def test_a_token_server_that_is_gone_is_named(running: Registry) -> None:
    server(running).stop()
    async with Registries(options()) as registries:
        with pytest.raises(Unavailable, match=r'Get "http://127\.0\.0\.1:\d+/token": .*refused'):
            await repository(registries, running).resolve("latest")
