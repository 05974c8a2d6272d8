"""A connection inside a call: both ends send what they write as messages (`Control.Session`).

What a client offers comes so where its connection is gRPC from the beginning, and cannot be upgraded a second time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dockwright.buildkit.proto.control_pb2 import BytesMessage

if TYPE_CHECKING:
    from grpclib.server import Stream

# As much as clients put into a message.
_CHUNK = 32 * 1024
# What may wait to be sent before whoever writes is asked to pause.
_HIGH_BYTES, _LOW_BYTES = 1024 * 1024, 256 * 1024


class Tunnel(asyncio.Transport):
    """A transport over `stream`. It carries nothing before `carry` is awaited."""

    def __init__(self, stream: Stream[BytesMessage, BytesMessage]) -> None:
        super().__init__()
        self._stream = stream
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self._unsent = bytearray()
        self._changed = asyncio.Event()
        self._paused = self._closing = False

    async def carry(self) -> None:
        """Until the peer has gone, or this end was closed and all is sent. The protocol hears of the end.

        A cancelled call closes. Raises what a broken stream raises.
        """
        try:
            async with asyncio.TaskGroup() as group:
                ways = [group.create_task(self._send()), group.create_task(self._receive())]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        finally:
            self._closing = True
            self._protocol.connection_lost(None)

    async def _send(self) -> None:
        while True:
            while self._unsent:
                data = bytes(self._unsent[:_CHUNK])
                del self._unsent[:_CHUNK]
                await self._stream.send_message(BytesMessage(data=data))
                self._resume()
            if self._closing:
                return
            self._changed.clear()
            await self._changed.wait()

    async def _receive(self) -> None:
        while (message := await self._stream.recv_message()) is not None:
            if isinstance(self._protocol, asyncio.Protocol):
                self._protocol.data_received(message.data)

    def _resume(self) -> None:
        if self._paused and len(self._unsent) <= _LOW_BYTES:
            self._paused = False
            self._protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As `asyncio.Transport.write`; after the end it is dropped."""
        if self._closing:
            return
        self._unsent += data
        self._changed.set()
        if not self._paused and len(self._unsent) > _HIGH_BYTES:
            self._paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Send what waits, then end. Safe to call twice."""
        self._closing = True
        self._changed.set()

    def abort(self) -> None:
        """End at once."""
        self._unsent.clear()
        self.close()

    def is_closing(self) -> bool:
        """Whether it was closed, or the peer has gone."""
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who hears what comes from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who hears what comes."""
        return self._protocol

    def resume_reading(self) -> None:
        """Nothing: reading begins with `carry`, and is never paused."""
