"""Bytes carried by the daemon where the kernel cannot translate: from [::] or [::1] of the host to a container that has only
IPv4 (nftables has no NAT between families), or from any address when the packet filter is off.

Everything else goes through the kernel. A relayed connection ends with the daemon; the port itself comes back with the next
one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import cast

from dockwright.tasks import Background

log = logging.getLogger(__name__)

Target = tuple[str, int]
BACKLOG = 512
UDP_IDLE_S = 90.0
UDP_FLOWS = 1024
CONNECT_S = 10.0


class Relay:
    """The relayed ports of one daemon, by endpoint."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._servers: dict[str, list[_TcpPort | _UdpPort]] = {}

    def start(self, endpoint_id: str, protocol: str, held: socket.socket, target: Target) -> None:
        """Relay what arrives on `held` (bound; a duplicate is used, the caller closes its own) to `target`."""
        own = held.dup()
        own.setblocking(False)
        port: _TcpPort | _UdpPort
        port = _TcpPort(own, target, self._background) if protocol == "tcp" else _UdpPort(own, target, self._background)
        self._servers.setdefault(endpoint_id, []).append(port)

    def serves(self, endpoint_id: str) -> bool:
        """Whether ports of this endpoint are relayed."""
        return endpoint_id in self._servers

    def stop(self, endpoint_id: str) -> None:
        """End an endpoint's ports and their connections; one without any is no error."""
        for port in self._servers.pop(endpoint_id, ()):
            port.close()

    async def aclose(self) -> None:
        """End everything."""
        for endpoint_id in list(self._servers):
            self.stop(endpoint_id)


class _TcpPort:
    def __init__(self, listening: socket.socket, target: Target, background: Background) -> None:
        self._socket = listening
        self._target = target
        self._background = background
        self._sides: set[_Side] = set()
        self._server: asyncio.Server | None = None
        listening.listen(BACKLOG)
        self._task = background.start(self._serve(), name=f"relay to {target[0]}:{target[1]}")

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Side(self._sides, self._accepted), sock=self._socket)
        await self._server.serve_forever()

    def _accepted(self, client: _Side) -> None:
        self._background.start(self._connect(client), name="relay connection")

    async def _connect(self, client: _Side) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, server = await loop.create_connection(lambda: _Side(self._sides, None), *self._target)
        except (OSError, TimeoutError):
            client.abort()
            return
        client.pair(server)

    def close(self) -> None:
        self._task.cancel()
        if self._server is not None:
            self._server.close()
        self._socket.close()
        for side in tuple(self._sides):
            side.abort()


class _Side(asyncio.Protocol):
    """One end of a relayed connection; reading stops while the other end cannot take more."""

    def __init__(self, sides: set[_Side], accepted: object) -> None:
        self._sides = sides
        self._accepted = accepted
        self._other: _Side | None = None
        self._transport: asyncio.Transport | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sides.add(self)
        if callable(self._accepted):
            self._transport.pause_reading()  # until the way to the container is open
            self._accepted(self)

    def pair(self, other: _Side) -> None:
        self._other, other._other = other, self
        for side in (self, other):
            if side._transport is None or side._transport.is_closing():
                self.abort()
                other.abort()
                return
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        other = self._other
        if other is None or other._transport is None:
            return False
        if other._transport.can_write_eof() and not other._transport.is_closing():
            other._transport.write_eof()
        return not other._ended  # half-closed until the other end has ended too

    def pause_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._sides.discard(self)
        other, self._other = self._other, None
        if other is not None and other._transport is not None:
            if error is not None:
                other.abort()
            else:
                other._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _UdpPort(asyncio.DatagramProtocol):
    def __init__(self, bound: socket.socket, target: Target, background: Background) -> None:
        self._target = target
        self._background = background
        self._flows: dict[tuple[str, int], _UdpFlow] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._task = background.start(self._serve(bound), name=f"udp relay to {target[0]}:{target[1]}")

    async def _serve(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=bound)
        while True:
            await asyncio.sleep(UDP_IDLE_S / 2)
            now = loop.time()
            for client, flow in list(self._flows.items()):
                if now - flow.used_at > UDP_IDLE_S:
                    self._flows.pop(client).close()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        flow = self._flows.get(address)
        if flow is None:
            if len(self._flows) >= UDP_FLOWS:
                return  # as a full queue: the datagram is lost
            flow = self._flows[address] = _UdpFlow(self, address)
            self._background.start(flow.open(self._target), name="udp relay flow")
        flow.send(data)

    def answer(self, data: bytes, address: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(data, address)

    def forget(self, address: tuple[str, int]) -> None:
        self._flows.pop(address, None)

    def close(self) -> None:
        self._task.cancel()
        if self._transport is not None:
            self._transport.abort()
        for flow in self._flows.values():
            flow.close()
        self._flows.clear()


class _UdpFlow(asyncio.DatagramProtocol):
    def __init__(self, port: _UdpPort, client: tuple[str, int]) -> None:
        self._port = port
        self._client = client
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: list[bytes] = []
        self._closed = False
        self.used_at = asyncio.get_running_loop().time()

    async def open(self, target: Target) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=target)
        except OSError as error:
            log.debug("udp relay to %s:%d: %s", *target, error)
            self._port.forget(self._client)
            return
        self._transport = transport
        if self._closed:
            transport.abort()
            return
        for data in self._waiting:
            transport.sendto(data)
        self._waiting.clear()

    def send(self, data: bytes) -> None:
        self.used_at = asyncio.get_running_loop().time()
        if self._transport is not None:
            self._transport.sendto(data)
        elif len(self._waiting) < 16:
            self._waiting.append(data)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.used_at = asyncio.get_running_loop().time()
        self._port.answer(data, self._client)

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.abort()
