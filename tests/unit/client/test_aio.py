"""The asynchronous face against a real socket."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from tests.unit.client.server import Engine, Request, answer

from dockwright import errors
from dockwright.client.aio import AsyncClient
from dockwright.client.calls import containers, system
from dockwright.client.endpoint import Endpoint
from dockwright.client.errors import CannotConnect


async def test_calls_run_at_the_same_time_and_connections_are_used_again(fake_engine: Engine) -> None:
    fake_engine.answers["GET /info"] = answer({"ID": "x"})
    async with AsyncClient(Endpoint.parse(fake_engine.url)) as client:
        assert await client.version() == "1.51"
        found = await asyncio.gather(*(client.json(system.info()) for _ in range(5)))
        assert found == [{"ID": "x"}] * 5
        before = fake_engine.connections
        await client.json(system.info())
        assert fake_engine.connections == before


async def test_an_error_has_its_kind_and_message(fake_engine: Engine) -> None:
    async with AsyncClient(Endpoint.parse(fake_engine.url)) as client:
        with pytest.raises(errors.NotFound, match="not here"):
            await client.json(containers.inspect("nope"))


async def test_a_hijacked_stream_closes_one_direction_at_a_time(fake_engine: Engine) -> None:
    def echo(request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        data = b""
        while piece := connection.recv(100):
            data += piece
        connection.sendall(data.upper())

    fake_engine.answers["POST /containers/a/attach"] = echo
    async with AsyncClient(Endpoint.parse(fake_engine.url)) as client:
        stream = await client.hijack(containers.attach("a", stdin=True))
        await stream.write(b"hello")
        await stream.close_write()
        assert b"".join([piece async for piece in stream]) == b"HELLO"
        stream.close()


async def test_an_upload_is_sent_in_chunks(fake_engine: Engine) -> None:
    fake_engine.answers["PUT /containers/a/archive"] = answer()
    async with AsyncClient(Endpoint.parse(fake_engine.url)) as client:
        await client.run(containers.put_archive("a", "/", [b"one", b"two"]))
    assert fake_engine.asked("PUT /containers/a/archive").body == b"onetwo"


async def test_values_arrive_one_by_one(fake_engine: Engine) -> None:
    fake_engine.answers["GET /events"] = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"a":1}\n{"a":2}\n'
    async with AsyncClient(Endpoint.parse(fake_engine.url)) as client:
        response = await client.send(system.events())
        assert [value async for value in response.values()] == [{"a": 1}, {"a": 2}]


async def test_nobody_at_the_address_is_an_error(tmp_path: Path) -> None:
    async with AsyncClient(Endpoint.parse(f"unix://{tmp_path}/none")) as client:
        with pytest.raises(CannotConnect):
            await client.json(system.info())
