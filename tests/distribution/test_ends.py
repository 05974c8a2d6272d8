"""How a call ends: cancelled, failed at any step, or closed under way, it leaves nothing, and the next one succeeds."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

import dockwright
import dockwright.errors
from dockwright import faults
from dockwright.distribution import Registries, Repository
from dockwright.errors import HostFailure
from dockwright.oci import reference
from tests.distribution.content import blob, image, options, read
from tests.distribution.memory import MemoryRegistry
from tests.registries import Registry, registry
from tests.webserver import Exchange, WebServer

SOURCE = Path(dockwright.__file__).parent / "distribution"
POINTS = sorted(re.findall(r'faults\.point\("(.+?)"\)', "".join(path.read_text() for path in SOURCE.glob("*.py"))))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "registry", auth="token") as started:
        yield started


async def everything(registries: Registries, running: Registry, tag: str) -> None:
    """A tour of the client that passes every step."""
    made = image(2_000_000, 10, seed=1)
    mine = registries.repository(reference.parse(running.name("team/tool")), running.credentials)
    other = registries.repository(reference.parse(running.name("team/other")), running.credentials)
    await registries.login(running.host, running.credentials)
    await made.push(mine, tag)
    await other.push_blob(made.layers[0].descriptor, made.layers[0].source, mount_from=["team/tool"])
    assert await mine.resolve(tag) == made.descriptor
    assert await mine.manifest(tag) == (made.descriptor, made.content)
    assert await read(mine.blob(made.layers[0].descriptor)) == made.layers[0].content
    await registries.search(f"{running.host}/tool", credentials=running.credentials)


# A mount that fails is passed over on purpose, and resuming needs a break: both have tests of their own.
@pytest.mark.parametrize("point", [point for point in POINTS if point not in ("registry.mount", "registry.resume")])
async def test_a_failure_at_any_step_is_told_and_the_same_succeeds_afterwards(running: Registry, point: str) -> None:
    async with Registries(options()) as registries:
        with faults.armed(point), pytest.raises(HostFailure, match=point):
            await everything(registries, running, "v1")
        await everything(registries, running, "v1")


async def test_a_mount_that_fails_becomes_an_upload(running: Registry) -> None:
    made = blob(2_000_000)
    async with Registries(options()) as registries:
        mine = registries.repository(reference.parse(running.name("a")), running.credentials)
        with faults.armed("registry.mount"):
            assert await mine.push_blob(made.descriptor, made.source, mount_from=["b"]) == "uploaded"


async def test_a_failure_while_resuming_is_told_and_closes_the_source() -> None:
    made = blob(2_000_000)
    with MemoryRegistry() as memory:
        memory.misbehave("PATCH", lambda exchange: memory.break_after(exchange, 1_000_000))
        async with Registries(options()) as registries:
            mine = registries.repository(reference.parse(f"{memory.host}/a"))
            with faults.armed("registry.resume"), pytest.raises(HostFailure):
                await mine.push_blob(made.descriptor, made.source)
            assert made.closed == len(made.opened)
            assert await mine.push_blob(made.descriptor, made.source) == "uploaded"


async def test_a_cancelled_upload_closes_its_source() -> None:
    made = blob(1_100_000)
    begun, closed = asyncio.Event(), asyncio.Event()

    async def endless(offset: int) -> AsyncGenerator[bytes, None]:
        try:
            yield made.content[:100_000]
            begun.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    with MemoryRegistry() as memory:
        async with Registries(options()) as registries:
            mine = registries.repository(reference.parse(f"{memory.host}/a"))
            async with asyncio.timeout(20):
                with pytest.raises(asyncio.CancelledError):
                    async with asyncio.TaskGroup() as group:
                        push = group.create_task(mine.push_blob(made.descriptor, endless))
                        await begun.wait()
                        push.cancel()
                        await push
            assert closed.is_set(), "the source is closed when the call has ended, not some time later"


async def test_a_cancelled_download_leaves_no_connection() -> None:
    made = blob(1_000_000)
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stall(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Length": str(len(made.content))})
        exchange.raw(made.content[:500_000])
        loop.call_soon_threadsafe(arrived.set)
        try:
            left = exchange._handler.connection.recv(1)
        except ConnectionResetError:  # what it had not read yet makes its end a reset
            left = b""
        loop.call_soon_threadsafe(gone.set_result, left)

    gone: asyncio.Future[bytes] = loop.create_future()
    with WebServer(lambda exchange: stall(exchange) if "/blobs/" in exchange.path else exchange.send(200)) as server:
        async with Registries(options()) as registries:
            mine = registries.repository(reference.parse(f"{server.host}/a"))
            async with asyncio.timeout(20):
                task = loop.create_task(read(mine.blob(made.descriptor)))
                await arrived.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await gone == b""


async def test_one_who_waits_for_a_token_may_leave_without_harm(running: Registry) -> None:
    made = image(10)
    async with Registries(options()) as registries:
        mine = registries.repository(reference.parse(running.name("a")), running.credentials)
        await made.push(mine, "v1")
        tasks = [asyncio.get_running_loop().create_task(mine.resolve("v1")) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [results[1], results[3]] == [made.descriptor] * 2
        assert not mine._routes.knowledge._asking


async def test_closing_twice_is_fine_and_closing_unused_too() -> None:
    registries = Registries(options())
    await registries.aclose()
    await registries.aclose()


async def test_a_registry_listed_by_its_network_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path / "registry") as running:
        address, _, port = running.host.partition(":")
        real = socket.getaddrinfo

        def resolve(host: str | bytes | None, *args: object, **kwargs: object) -> object:
            return real(address if host in ("registry.test", b"registry.test") else host, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        made = image(10)
        async with Registries(options(insecure=("127.0.0.0/8",))) as registries:
            named: Repository = registries.repository(reference.parse(f"registry.test:{port}/a"))
            await made.push(named, "v1")
            assert await named.resolve("v1") == made.descriptor


async def test_certificates_that_are_added_later_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockwright.distribution.certificates.LOOKED_AT_S", 0.0)
    monkeypatch.setattr("dockwright.distribution.routes.CHOICE_KEPT_S", 0.0)
    with registry(tmp_path / "registry", tls=True, client_certificates=True) as running:
        assert running.certs_dir is not None
        made = image(10)
        folder = running.certs_dir / running.host
        folder.rename(tmp_path / "later")
        async with Registries(options(running.certs_dir)) as registries:
            mine = registries.repository(reference.parse(running.name("a")))
            with pytest.raises(dockwright.errors.Unavailable):
                await made.push(mine, "v1")
            (tmp_path / "later").rename(folder)
            await made.push(mine, "v1")
