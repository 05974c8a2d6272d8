"""Bytes carried by the daemon where the kernel cannot translate: from [::] or [::1] of the host to a container that has only
IPv4 (nftables has no NAT between families), or from any address when the packet filter is off.

Everything else goes through the kernel. A relayed connection ends with the daemon; the port itself comes back with the next
one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from dockwright.network.model import IpNetwork, PublishedPort
from dockwright.tasks import Background

log = logging.getLogger(__name__)

Target = tuple[str, int]
BACKLOG = 512
UDP_IDLE_S = 90.0
UDP_FLOWS = 1024
CONNECT_S = 10.0
PIECE_BYTES = 64 * 1024
_ACCEPT_PAUSE_S = 0.05


class Relay:
    """The relayed ports of one daemon, by container."""

    def __init__(self, background: Background, publish_from: Iterable[IpNetwork] = ()) -> None:
        """`publish_from`: the sources that are served beside the host itself, empty for all."""
        self._background = background
        self._admission = Admission(tuple(publish_from))
        self._servers: dict[str, dict[PublishedPort, _Server]] = {}

    async def keep(
        self,
        container_id: str,
        wanted: Mapping[PublishedPort, tuple[socket.socket, Target]],
        published: Collection[PublishedPort] = (),
    ) -> None:
        """Relay these ports of a container: what arrives on the bound socket (a duplicate is used, the caller closes its own)
        to the target. Of the rest, connections to a port that is `published` still are closed at once: its socket listens,
        and cannot stop listening while it is held."""
        running = self._servers.setdefault(container_id, {})
        for port in list(running):
            if port in wanted or port in published:
                running[port].target = wanted[port][1] if port in wanted else None
            else:
                await running.pop(port).aclose()
        for port, (held, target) in wanted.items():
            if port in running:
                continue
            own = held.dup()
            own.setblocking(False)
            kind = _TcpPort if port.protocol == "tcp" else _UdpPort
            running[port] = kind(own, target, self._background, self._admission)
        if not running:
            del self._servers[container_id]

    def stop(self, container_id: str) -> None:
        """End a container's ports and their connections; one without any is no error."""
        for server in self._servers.pop(container_id, {}).values():
            server.close()

    async def aclose(self) -> None:
        """End everything."""
        for container_id in list(self._servers):
            self.stop(container_id)


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may use relayed ports: the host itself, and the sources named; everybody when none is."""

    sources: tuple[IpNetwork, ...]

    def admits(self, address: str) -> bool:
        if not self.sources:
            return True
        source = ipaddress.ip_address(address.partition("%")[0])
        return source.is_loopback or any(source in network for network in self.sources)


class _Server(Protocol):
    target: Target | None

    def __init__(self, bound: socket.socket, target: Target, background: Background, admission: Admission) -> None: ...

    def close(self) -> None: ...

    async def aclose(self) -> None:
        """Close, and wait until the socket is let go of: it may be wanted for the same address again."""
        ...


class _TcpPort:
    """Plain sockets and two loops a connection: transports were seen to lose bytes written just before `write_eof` (uvloop)."""

    def __init__(self, bound: socket.socket, target: Target, background: Background, admission: Admission) -> None:
        self._listening = bound
        self.target: Target | None = target
        self._admission = admission
        self._background = background
        self._connections: set[asyncio.Task[None]] = set()
        bound.listen(BACKLOG)
        self._task = background.start(self._serve(), name=f"relay to {target[0]}:{target[1]}")

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        with self._listening:
            while True:
                try:
                    client, peer = await loop.sock_accept(self._listening)
                except OSError as error:  # out of descriptors, or the client is gone already
                    log.debug("relay to %s: %s", self.target, error)
                    await asyncio.sleep(_ACCEPT_PAUSE_S)
                    continue
                if self.target is None or not self._admission.admits(peer[0]):
                    client.close()
                    continue
                task = self._background.start(self._carry(client, self.target), name="relay connection")
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)

    async def _carry(self, client: socket.socket, target: Target) -> None:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        with client, socket.socket(family, socket.SOCK_STREAM) as server:
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await loop.sock_connect(server, target)
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pump(client, server))
                    both.create_task(_pump(server, client))
            except* (OSError, TimeoutError) as errors:
                log.debug("relay to %s:%d: %s", *target, errors.exceptions[0])

    def close(self) -> None:
        self._task.cancel()
        for task in self._connections:
            task.cancel()

    async def aclose(self) -> None:
        self.close()
        await asyncio.wait((self._task,))


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Until `source` ends; then `sink` is told, and may go on sending."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, PIECE_BYTES):
        await loop.sock_sendall(sink, data)
    sink.shutdown(socket.SHUT_WR)


class _UdpPort(asyncio.DatagramProtocol):
    def __init__(self, bound: socket.socket, target: Target, background: Background, admission: Admission) -> None:
        self.target: Target | None = target
        self._admission = admission
        self._background = background
        self._flows: dict[tuple[str, int], _UdpFlow] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._lost = asyncio.Event()
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
            if self.target is None or len(self._flows) >= UDP_FLOWS or not self._admission.admits(address[0]):
                return  # as a full queue: the datagram is lost
            flow = self._flows[address] = _UdpFlow(self, address)
            self._background.start(flow.open(self.target), name="udp relay flow")
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

    def connection_lost(self, error: Exception | None) -> None:
        self._lost.set()

    async def aclose(self) -> None:
        opened = self._transport is not None
        self.close()
        await asyncio.wait((self._task,))
        if opened:
            await self._lost.wait()


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
