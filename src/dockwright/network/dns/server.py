"""The resolver of every sandbox: two sockets opened inside, read by the daemon's loop.

A server in the container may want port 53 of every address for itself, so ours is another one, and rules in the sandbox's own
namespace lead 127.0.0.11:53 to it. The port follows from the sandbox's name: after a restart of the daemon it is the same, so
that connections which the kernel tracks still lead to it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from dockwright import faults
from dockwright.errors import Unsupported
from dockwright.network.dns.answers import Malformed, Question
from dockwright.network.dns.forward import Forwarder, exactly
from dockwright.network.dns.names import Names, Scope
from dockwright.network.dns.remembered import Remembered
from dockwright.network.model import Sandbox
from dockwright.network.namespaces import Namespaces
from dockwright.network.nft import NftError, run_here
from dockwright.tasks import Background

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.11"
_FIRST_PORT, _PORTS = 33000, 27000
_BATCH = 32
_BACKLOG = 128
_CONNECTIONS = 64
_IDLE_S = 10.0
_TABLE = "dockwright_dns"


@dataclass(frozen=True, slots=True)
class Asker:
    """What a sandbox sees: its networks in order, its own name servers, and whether it may ask the host's."""

    handle: str
    scopes: tuple[Scope, ...]
    servers: tuple[str, ...] = ()
    outward: bool = True


class Dns:
    """The resolvers of one daemon, by sandbox."""

    def __init__(self, namespaces: Namespaces, names: Names, background: Background) -> None:
        self._namespaces = namespaces
        self._names = names
        self._background = background
        self._forwarder = Forwarder(namespaces)
        self._resolvers: dict[str, _Resolver] = {}

    async def serve(self, sandbox: Sandbox, asker: Asker) -> None:
        """Answer in a sandbox from now on, or as this asker from now on. Raises `HostFailure`."""
        resolver = self._resolvers.get(sandbox.container_id)
        if resolver is not None:
            resolver.change(asker)
            return
        faults.point("network.dns")
        udp, tcp = await self._namespaces.run(lambda: _open(self._namespaces, sandbox.handle))
        resolver = _Resolver(asker, self._names, self._forwarder, self._background, udp, tcp)
        self._resolvers[sandbox.container_id] = resolver

    def stop(self, container_id: str) -> None:
        """Answer no longer; where nobody answers is no error."""
        resolver = self._resolvers.pop(container_id, None)
        if resolver is not None:
            resolver.close()

    def close(self) -> None:
        """Answer nobody any more."""
        for container_id in list(self._resolvers):
            self.stop(container_id)


def _open(namespaces: Namespaces, handle: str) -> tuple[socket.socket, socket.socket]:
    """Both sockets and the rules that lead to them; runs in the namespace thread."""
    namespaces.enter(handle)
    port = _FIRST_PORT + int(handle[:8], 16) % _PORTS
    udp = tcp = None
    try:
        udp = _bound(socket.SOCK_DGRAM, port)
        tcp = _bound(socket.SOCK_STREAM, port)
        tcp.listen(_BACKLOG)
        _lead(udp.getsockname()[1], tcp.getsockname()[1])
    except BaseException:
        for opened in (udp, tcp):
            if opened is not None:
                opened.close()
        raise
    return udp, tcp


def _bound(kind: int, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((ADDRESS, port))
        except OSError:
            opened.bind((ADDRESS, 0))  # somebody in the container has it
    except BaseException:
        opened.close()
        raise
    return opened


def _lead(udp_port: int, tcp_port: int) -> None:
    """A new table costs 0.5 ms; replacing one of a former daemon waits for RCU grace periods, 9 ms."""
    rules = (
        f"table ip {_TABLE} {{\n chain output {{\n  type nat hook output priority -100; policy accept;\n"
        f"  ip daddr {ADDRESS} udp dport 53 dnat to {ADDRESS}:{udp_port}\n"
        f"  ip daddr {ADDRESS} tcp dport 53 dnat to {ADDRESS}:{tcp_port}\n }}\n}}\n"
    )
    try:
        try:
            run_here(f"create table ip {_TABLE}\n{rules}")
        except NftError:
            run_here(f"add table ip {_TABLE}\ndelete table ip {_TABLE}\n{rules}")
    except Unsupported:
        log.warning("names are not answered in containers: libnftables is missing")


class _Resolver:
    def __init__(
        self,
        asker: Asker,
        names: Names,
        forwarder: Forwarder,
        background: Background,
        udp: socket.socket,
        tcp: socket.socket,
    ) -> None:
        self.asker = asker
        self._names = names
        self._forwarder = forwarder
        self._background = background
        self._udp = udp
        self._tcp = tcp
        self._remembered = Remembered()
        self._connections: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        loop.add_reader(udp, self._datagrams)
        loop.add_reader(tcp, self._accept)

    def change(self, asker: Asker) -> None:
        self.asker = asker
        self._remembered.forget()

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for opened in (self._udp, self._tcp):
            loop.remove_reader(opened)
            opened.close()
        for task in self._connections:
            task.cancel()

    # -- UDP ------------------------------------------------------------------------------------------------------

    def _datagrams(self) -> None:
        for _ in range(_BATCH):  # and then it is somebody else's turn in the loop
            try:
                data, client = self._udp.recvfrom(4096)
            except OSError:
                return
            self._answer(data, lambda answer, client=client: self._send(answer, client))  # type: ignore[misc]

    def _send(self, answer: bytes, client: tuple[str, int]) -> None:
        try:
            self._udp.sendto(answer, client)
        except OSError as error:
            log.debug("answer to %s: %s", client, error)

    def _answer(self, data: bytes, send: Callable[[bytes], None]) -> None:
        known = self._remembered.find(data, self._names.generation)
        if known is not None:
            send(known)
            return
        try:
            question = Question(data)
            answer = question.reply(self._names, self.asker.scopes, limited=True)
        except Malformed as malformed:
            if malformed.answer:
                send(malformed.answer)
            return
        if answer is not None:
            self._remembered.keep(data, answer)
            send(answer)
        else:
            self._background.start(self._forward(question, send), name="name query")

    async def _forward(self, question: Question, send: Callable[[bytes], None]) -> None:
        send(await self._outside(question, over_tcp=False))

    async def _outside(self, question: Question, *, over_tcp: bool) -> bytes:
        """On internal networks alone nobody outside is asked: not even a name may leave."""
        if not self.asker.outward:
            return question.failure()
        asker = self.asker
        answer = await self._forwarder.ask(question.data, asker.servers, asker.handle, over_tcp=over_tcp)
        return answer or question.failure()

    # -- TCP (RFC 7766) -------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            client, _ = self._tcp.accept()
        except OSError:
            return
        if len(self._connections) >= _CONNECTIONS:
            client.close()
            return
        client.setblocking(False)
        task = self._background.start(self._converse(client), name="name connection")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with client:
            try:
                while True:
                    async with asyncio.timeout(_IDLE_S):
                        (length,) = struct.unpack(">H", await exactly(client, 2))
                        data = await exactly(client, length)
                    answer = await self._answer_whole(data)
                    await loop.sock_sendall(client, struct.pack(">H", len(answer)) + answer)
            except (OSError, TimeoutError):
                return  # the client has gone, or says nothing

    async def _answer_whole(self, data: bytes) -> bytes:
        try:
            question = Question(data)
            answer = question.reply(self._names, self.asker.scopes, limited=False)
        except Malformed as malformed:
            return malformed.answer
        return answer if answer is not None else await self._outside(question, over_tcp=True)
