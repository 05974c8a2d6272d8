"""gRPC on a connection that another protocol has handed over: as its server, and as its client.

HTTP/2 with prior knowledge, as after `101 Switching Protocols` to h2c (BuildKit's `/grpc` and `/session`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.encoding.proto import ProtoCodec
from grpclib.protocol import H2Protocol
from grpclib.server import Handler, Server

from dockwright.buildkit.errors import DetailsCodec

if TYPE_CHECKING:
    from grpclib._typing import IServable

# How much may be on its way to us before we have read it: transfers of files need room.
_WINDOW_BYTES = 16 * 1024 * 1024


def _configuration() -> Configuration:
    return Configuration(http2_connection_window_size=_WINDOW_BYTES, http2_stream_window_size=_WINDOW_BYTES)


class _Taken(asyncio.Protocol):
    """HTTP/2 on a transport; who had it before is told of its end."""

    def __init__(self, inner: H2Protocol, former: asyncio.BaseProtocol | None) -> None:
        self._inner, self._former = inner, former
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()
        self._inner.connection_lost(error)
        if self._former is not None:
            self._former.connection_lost(error)


def _take(transport: asyncio.Transport, inner: H2Protocol, former: asyncio.BaseProtocol | None, early: bytes) -> _Taken:
    taken = _Taken(inner, former)
    transport.set_protocol(taken)
    inner.connection_made(transport)
    if early:
        inner.data_received(early)
    transport.resume_reading()
    return taken


class Served:
    """A connection on which we answer calls. A call that its caller gives up is cancelled."""

    def __init__(
        self,
        transport: asyncio.Transport,
        services: Collection[IServable],
        former: asyncio.BaseProtocol | None = None,
        early: bytes = b"",
    ) -> None:
        """Answer with `services`. `former` hears of the connection's end; `early` is what was read of it already."""
        server = Server(services, codec=ProtoCodec(), status_details_codec=DetailsCodec(), config=_configuration())
        inner = server._protocol_factory()
        assert isinstance(inner.handler, Handler)
        self._handler, self._inner = inner.handler, inner
        self._taken = _take(transport, inner, former, early)

    async def wait(self) -> None:
        """Until the peer has gone and every call has come to its end."""
        await self._taken.lost.wait()
        await self._handler.wait_closed()

    async def aclose(self) -> None:
        """Cancel the calls that go on, and close. Safe to call twice."""
        self._inner.processor.close()
        await self._handler.wait_closed()


class Caller(Channel):
    """A connection on which the peer answers. The generated stubs take it as their channel."""

    def __init__(
        self, transport: asyncio.Transport, former: asyncio.BaseProtocol | None = None, early: bytes = b""
    ) -> None:
        """`former` and `early` as for `Served`."""
        super().__init__(
            "localhost", 0, codec=ProtoCodec(), status_details_codec=DetailsCodec(), config=_configuration()
        )
        inner = self._protocol_factory()
        self._taken = _take(transport, inner, former, early)
        self._inner = inner

    async def _create_connection(self) -> H2Protocol:
        if self.lost.is_set() or self._inner.connection.is_closing():
            raise ConnectionResetError("the peer has gone")
        return self._inner

    @property
    def lost(self) -> asyncio.Event:
        """Set when the connection is gone."""
        return self._taken.lost

    def close(self) -> None:
        """Close; calls that go on fail. Safe to call twice."""
        self._inner.processor.close()
        self._protocol = None
        super().close()
