"""What is not ours is asked of somebody else: the host's resolvers from the host, a container's own from its namespace."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial

from dockwright import workers
from dockwright.network.dns.answers import is_answer_to
from dockwright.network.files import host_servers
from dockwright.network.namespaces import Namespaces

log = logging.getLogger(__name__)

ANSWER_S = 3.0
ROUNDS = 2
OUTSTANDING = 1024
_REREAD_S = 5.0
_LARGEST = 65535
_PORT = 53


class Forwarder:
    """Asks the servers in turn, each twice at most; at most `OUTSTANDING` questions at a time."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._outstanding = 0
        self._host: tuple[str, ...] = ()
        self._read_at = -_REREAD_S

    async def ask(self, question: bytes, servers: Sequence[str], sandbox: str, *, over_tcp: bool) -> bytes | None:
        """The answer, or None when nobody gave one. `servers` are asked from `sandbox`; none: the host's, from the host."""
        if self._outstanding >= OUTSTANDING:
            return None
        self._outstanding += 1
        try:
            return await self._ask_each(question, servers, sandbox, over_tcp)
        finally:
            self._outstanding -= 1

    async def _ask_each(self, question: bytes, servers: Sequence[str], sandbox: str, over_tcp: bool) -> bytes | None:
        own = bool(servers)
        for server in list(servers or await self._host_servers()) * ROUNDS:
            identified = secrets.token_bytes(2) + question[2:]
            kind = socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM
            try:
                async with asyncio.timeout(ANSWER_S):
                    asking = await self._socket(server, kind, sandbox if own else "")
                    with asking:
                        exchange = _over_tcp if over_tcp else _over_udp
                        answer = await exchange(asking, server, identified)
            except (OSError, TimeoutError) as error:
                log.debug("name server %s: %s", server, error or "no answer")
                continue
            if answer is not None:
                return question[:2] + answer[2:]
        return None

    async def _socket(self, server: str, kind: int, sandbox: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        make = partial(socket.socket, family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        return await self._namespaces.run(lambda: self._inside(sandbox, make)) if sandbox else make()

    def _inside(self, sandbox: str, make: Callable[[], socket.socket]) -> socket.socket:
        self._namespaces.enter(sandbox)
        return make()

    async def _host_servers(self) -> tuple[str, ...]:
        """As the host's file names them now; it is looked at again after some seconds."""
        if time.monotonic() - self._read_at > _REREAD_S:
            self._read_at = time.monotonic()
            self._host = await workers.quick(host_servers)
        return self._host


async def _over_udp(asking: socket.socket, server: str, question: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    asking.connect((server, _PORT))  # names the peer, sends nothing
    await loop.sock_sendall(asking, question)
    while True:
        answer = await loop.sock_recv(asking, _LARGEST)
        if is_answer_to(question, answer):
            return answer


async def _over_tcp(asking: socket.socket, server: str, question: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(asking, (server, _PORT))
    await loop.sock_sendall(asking, struct.pack(">H", len(question)) + question)
    (length,) = struct.unpack(">H", await exactly(asking, 2))
    answer = await exactly(asking, length)
    return answer if is_answer_to(question, answer) else None


async def exactly(source: socket.socket, count: int) -> bytes:
    """The next `count` bytes of a connection. Raises `ConnectionError` when it ends before them."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        piece = await loop.sock_recv(source, count - len(data))
        if not piece:
            raise ConnectionError("the other side closed the connection")
        data += piece
    return data
