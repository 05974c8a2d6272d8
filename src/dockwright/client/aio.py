"""The asynchronous face: the same calls over asyncio.

A cancelled call closes its connection; whether the engine did the work by then is unknown, as with any broken connection.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Self

from dockwright.client import exchange, http1, wirejson
from dockwright.client.calls import system
from dockwright.client.errors import CannotConnect, ProtocolError
from dockwright.client.transport import CONNECT_TIMEOUT_S, unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from dockwright.client.call import Call
    from dockwright.client.endpoint import Endpoint
    from dockwright.client.tls import TlsPipe


class _Wire:
    """A connected stream, encrypted where the endpoint asks for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._pipe: TlsPipe | None = None

    async def start_tls(self, endpoint: Endpoint) -> None:
        from dockwright.client.tls import TlsPipe

        assert endpoint.tls is not None
        pipe, received, up = TlsPipe(endpoint.tls, endpoint.host), b"", False
        while not up:
            up = pipe.handshake(received)
            self._writer.write(pipe.outgoing())
            await self._writer.drain()
            if not up:
                received = await self._reader.read(exchange.READ_BYTES)
                if not received:
                    raise CannotConnect(f"{endpoint.url} closed the connection during the TLS handshake")
        self._pipe = pipe

    async def recv(self) -> bytes:
        try:
            while True:
                data = await self._reader.read(exchange.READ_BYTES)
                if self._pipe is None:
                    return data
                plain = self._pipe.decrypt(data)
                if plain is not None:
                    return plain
        except ConnectionResetError:
            return b""

    async def send(self, data: bytes) -> None:
        """Returns once the kernel has nearly all of it: a slow engine slows the caller."""
        self._writer.write(data if self._pipe is None else self._pipe.encrypt(data))
        await self._writer.drain()

    async def close_write(self) -> None:
        if self._pipe is not None:
            self._writer.write(self._pipe.close_write())
        elif self._writer.can_write_eof():
            self._writer.write_eof()
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


async def _connect(endpoint: Endpoint) -> _Wire:
    """Raises `CannotConnect`."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if endpoint.scheme == "unix":
                wire = _Wire(*await asyncio.open_unix_connection(endpoint.path))
            elif endpoint.scheme == "ssh":
                wire = await _connect_ssh(endpoint)
            else:
                wire = _Wire(*await asyncio.open_connection(endpoint.host, endpoint.port))
            if endpoint.tls is not None:
                try:
                    await wire.start_tls(endpoint)
                except BaseException:
                    wire.close()
                    raise
            return wire
    except (OSError, TimeoutError) as error:
        raise unreachable(endpoint) from error


async def _connect_ssh(endpoint: Endpoint) -> _Wire:
    import socket

    from dockwright.client.ssh import dial

    raw = await asyncio.to_thread(dial, endpoint)
    return _Wire(*await asyncio.open_unix_connection(sock=socket.socket(fileno=raw.detach())))


class AsyncClient:
    """An engine's API. Calls may run at the same time: each has a connection, finished ones are used again.

    async with AsyncClient.from_environment() as client:
        rows = await client.json(containers.list())
    """

    def __init__(self, endpoint: Endpoint, *, version: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.endpoint = endpoint
        self.headers = dict(headers or {})
        self._version = version or os.environ.get("DOCKER_API_VERSION", "").removeprefix("v")
        self._idle: list[_Wire] = []

    @classmethod
    def from_environment(cls) -> Self:
        from dockwright.client.config import Config
        from dockwright.client.endpoint import resolve

        config = Config.load()
        return cls(resolve(config), headers=config.headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are not in use; twice is fine."""
        while self._idle:
            self._idle.pop().close()

    async def version(self) -> str:
        """The API version spoken with this engine; the first use asks it (`/_ping`)."""
        if not self._version:
            response = AsyncResponse(self, await self._checkout(), system.ping())
            head = await response.begin("")
            await response.read()
            self._version = exchange.negotiated(head)
        return self._version

    async def send(self, call: Call) -> AsyncResponse:
        """Send `call` and wait for the head of the answer. Raises a `ResponseError` for status 400 and more."""
        version = await self.version()
        reused = bool(self._idle)
        response = AsyncResponse(self, await self._checkout(), call)
        try:
            head = await response.begin(version)
        except (ProtocolError, ConnectionError):
            if not reused or call.method not in ("GET", "HEAD"):
                raise
            response = AsyncResponse(self, await _connect(self.endpoint), call)
            head = await response.begin(version)
        if exchange.is_error(head):
            raise exchange.error_of(head, await response.read())
        return response

    async def json(self, call: Call) -> Any:
        """The answer's JSON value; `None` where the body is empty."""
        response = await self.send(call)
        body = await response.read()
        try:
            return wirejson.decode(body) if body else None
        except wirejson.NotJson as error:
            raise ProtocolError(f"the engine's answer to {call.method} {call.target} is {error}") from error

    async def run(self, call: Call) -> None:
        """Send `call` for its effect."""
        response = await self.send(call)
        await response.read()

    async def hijack(self, call: Call) -> AsyncStream:
        """Send a call whose answer turns the connection into a two-way stream."""
        return AsyncStream(await self.send(call))

    async def _checkout(self) -> _Wire:
        return self._idle.pop() if self._idle else await _connect(self.endpoint)

    def _checkin(self, wire: _Wire) -> None:
        self._idle.append(wire)


class AsyncResponse:
    """An answer under way: the head is in, the body is read on demand."""

    def __init__(self, client: AsyncClient, wire: _Wire, call: Call) -> None:
        self._client = client
        self._wire: _Wire | None = wire
        self._call = call
        self._parser = http1.ResponseParser(call.method)

    @property
    def head(self) -> http1.Head:
        assert self._parser.head is not None
        return self._parser.head

    @property
    def wire(self) -> _Wire:
        assert self._wire is not None, "the answer has been read or closed"
        return self._wire

    async def begin(self, version: str) -> http1.Head:
        """Send the request and read until the head of the answer is there."""
        try:
            call = self._call
            head = exchange.request_head(call, self._client.endpoint, version, self._client.headers)
            if call.body is None or isinstance(call.body, bytes):
                await self._send_all(head + (call.body or b""))
                await self._await_head()
            else:
                await self._upload(head)
        except BaseException:
            self.close()
            raise
        return self.head

    async def _send_all(self, data: bytes) -> None:
        try:
            await self.wire.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # an engine that refuses early closes early; its answer, if any, is still to be read

    async def _upload(self, head: bytes) -> None:
        """Send the body while listening: an engine that answers no meanwhile need not be told the rest."""
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send_body(head))
            await self._await_head()
            if exchange.is_error(self.head):
                sending.cancel()

    async def _send_body(self, head: bytes) -> None:
        assert self._call.body is not None
        await self._send_all(head)
        for piece in self._call.body:
            assert isinstance(piece, bytes)
            if piece:
                await self._send_all(http1.encode_chunk(piece))
        await self._send_all(http1.encode_chunk(b""))

    async def _await_head(self) -> None:
        while self._parser.head is None:
            self._parser.receive(await self.wire.recv())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if piece := self._parser.take():
            yield piece
        while not self._parser.finished:
            self._parser.receive(await self.wire.recv())
            if piece := self._parser.take():
                yield piece
        self._release()

    async def read(self) -> bytes:
        """The rest of the body."""
        return b"".join([piece async for piece in self])

    async def values(self) -> AsyncIterator[Any]:
        """The body's JSON values one after another, as they arrive."""
        stream = wirejson.Stream()
        async for piece in self:
            for value in stream.feed(piece):
                yield value
        for value in stream.feed(b""):
            yield value

    def close(self) -> None:
        """Give the connection up; the engine sees that nobody listens any more."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _release(self) -> None:
        if self._wire is not None and self._parser.keep_alive:
            self._client._checkin(self._wire)
            self._wire = None
        else:
            self.close()


class AsyncStream:
    """A hijacked connection: raw or multiplexed bytes in (iterate), raw bytes out, each direction closed on its own."""

    def __init__(self, response: AsyncResponse) -> None:
        self._response = response
        self._wire = response.wire

    @property
    def content_type(self) -> str:
        return self._response.head.get("content-type")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._response.__aiter__()

    async def write(self, data: bytes) -> None:
        await self._wire.send(data)

    async def close_write(self) -> None:
        await self._wire.close_write()

    def close(self) -> None:
        self._response.close()
        self._wire.close()
