"""`SSH`: agents that steps may ask to sign. Only that: a build can neither change nor lock somebody's agent.

The agent protocol (draft-miller-ssh-agent): messages of a length, a type and the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright.buildkit.calls import asked
from dockwright.buildkit.proto.sshforward_grpc import SSHBase
from dockwright.buildkit.proto.sshforward_pb2 import BytesMessage, CheckAgentRequest, CheckAgentResponse
from dockwright.cli.building.services.answers import answers
from dockwright.cli.building.services.headers import headers

_ID = "buildkit.ssh.id"
_LIST_KEYS, _SIGN = 11, 13
_FAILURE = b"\x00\x00\x00\x01\x05"
_LIMIT_BYTES, _PIECE = 256 * 1024, 32 * 1024


class Agents(SSHBase):
    """`sockets` of agents by their ID."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._sockets = sockets

    @answers
    async def CheckAgent(self, stream: Stream[CheckAgentRequest, CheckAgentResponse]) -> None:
        """Whether there is such an agent."""
        request = await asked(stream)
        self._socket(request.ID)
        await stream.send_message(CheckAgentResponse())

    async def ForwardAgent(self, stream: Stream[BytesMessage, BytesMessage]) -> None:
        """One connection to an agent."""
        path = self._socket(headers(stream).get(_ID, ""))
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            raise GRPCError(Status.UNAVAILABLE, f"failed to connect to the ssh agent {path}: {error}") from error
        try:
            await _Forwarding(stream, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the agent, or the step, has gone: the other end sees it
        finally:
            writer.close()

    def _socket(self, wanted: str) -> str:
        found = self._sockets.get(wanted or "default")
        if found is None:
            raise GRPCError(Status.NOT_FOUND, f"unset ssh forward key {wanted or 'default'}")
        return found


class _Forwarding:
    """Requests one after another, each with its answer."""

    def __init__(
        self, stream: Stream[BytesMessage, BytesMessage], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._stream, self._reader, self._writer = stream, reader, writer
        self._held = b""

    async def run(self) -> None:
        while (request := await self._request()) is not None:
            if request[4:5] in (bytes([_LIST_KEYS]), bytes([_SIGN])):
                self._writer.write(request)
                await self._writer.drain()
                size = await self._reader.readexactly(4)
                answer = size + await self._reader.readexactly(min(int.from_bytes(size), _LIMIT_BYTES))
            else:
                answer = _FAILURE
            for begin in range(0, len(answer), _PIECE):
                await self._stream.send_message(BytesMessage(data=answer[begin : begin + _PIECE]))

    async def _request(self) -> bytes | None:
        """The next whole request; None when no more come."""
        while len(self._held) < 4 or len(self._held) < 4 + int.from_bytes(self._held[:4]):
            if len(self._held) > _LIMIT_BYTES:
                return None
            message = await self._stream.recv_message()
            if message is None:
                return None
            self._held += message.data
        end = 4 + int.from_bytes(self._held[:4])
        request, self._held = self._held[:end], self._held[end:]
        return request
