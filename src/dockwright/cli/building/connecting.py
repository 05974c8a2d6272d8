"""Connections that begin as HTTP and go on as gRPC: `POST /grpc` and `POST /session` with `Upgrade: h2c`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from dockwright.client import exchange, http1
from dockwright.client.endpoint import Endpoint
from dockwright.client.errors import ProtocolError
from dockwright.client.transport import CONNECT_TIMEOUT_S, unreachable


async def upgrade(
    endpoint: Endpoint, path: str, fields: Iterable[tuple[str, str]] = ()
) -> tuple[asyncio.Transport, bytes]:
    """The connection after `101`, and what has been read of it already. It does not read until somebody takes it.

    Raises `CannotConnect`, and a `ResponseError` when the engine refuses.
    """
    transport, answer = await _connect(endpoint)
    try:
        head = [("Host", exchange.host_header(endpoint)), ("Content-Length", "0"), *fields]
        head += [("Connection", "Upgrade"), ("Upgrade", "h2c")]
        transport.write(http1.encode_head("POST", endpoint.base_path + path, head))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            early = await answer.upgraded()
    except TimeoutError as error:
        transport.close()
        raise ProtocolError(f"the engine does not answer POST {path}") from error
    except BaseException:
        transport.close()
        raise
    return transport, early


async def _connect(endpoint: Endpoint) -> tuple[asyncio.Transport, _Answer]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if endpoint.scheme == "unix":
                return await loop.create_unix_connection(_Answer, endpoint.path)
            if endpoint.scheme == "ssh":
                return await _connect_ssh(endpoint, loop)
            if endpoint.tls is None:
                return await loop.create_connection(_Answer, endpoint.host, endpoint.port)
            from dockwright.client.tls import make_context

            name = endpoint.tls.server_name or endpoint.host
            return await loop.create_connection(
                _Answer, endpoint.host, endpoint.port, ssl=make_context(endpoint.tls), server_hostname=name
            )
    except (OSError, TimeoutError) as error:
        raise unreachable(endpoint) from error


async def _connect_ssh(endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> tuple[asyncio.Transport, _Answer]:
    import socket

    from dockwright.client.ssh import dial

    raw = await asyncio.to_thread(dial, endpoint)
    return await loop.create_unix_connection(_Answer, sock=socket.socket(fileno=raw.detach()))


class _Answer(asyncio.Protocol):
    """Reads the head of the answer, and stops there."""

    def __init__(self) -> None:
        self._parser = http1.ResponseParser("POST")
        self._done = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.receive(data)
        except ProtocolError as error:
            self._fail(error)
            return
        head = self._parser.head
        if head is not None and not exchange.is_error(head):
            assert self._transport is not None
            self._transport.pause_reading()
            self._end()
        elif self._parser.finished:
            self._end()

    def eof_received(self) -> bool:
        try:
            self._parser.receive(b"")
        except ProtocolError as error:
            self._fail(error)
        self._end()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(ProtocolError("the engine closed the connection"))

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    async def upgraded(self) -> bytes:
        """What was read after the head."""
        await self._done
        head = self._parser.head
        if head is None:
            raise ProtocolError("the engine closed the connection without an answer")
        if exchange.is_error(head):
            raise exchange.error_of(head, self._parser.take())
        if head.status != 101:
            raise ProtocolError(f"the engine answers an upgrade with status {head.status}")
        return self._parser.take()
