"""A connection inside a call: gRPC in gRPC, as a client's session comes on `/grpc`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from grpclib.exceptions import StreamTerminatedError
from grpclib.server import Stream

from dockwright.buildkit.connection import Caller, Served
from dockwright.buildkit.proto import control_pb2 as wire
from dockwright.buildkit.proto.control_grpc import ControlBase, ControlStub
from dockwright.buildkit.proto.secrets_grpc import SecretsBase, SecretsStub
from dockwright.buildkit.proto.secrets_pb2 import GetSecretRequest, GetSecretResponse
from dockwright.buildkit.tunnel import Tunnel

# Several times what the tunnel holds back for a slow peer.
LONG = b"0123456789abcdef" * (1 << 18)


class Secrets(SecretsBase):
    async def GetSecret(self, stream: Stream[GetSecretRequest, GetSecretResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        await stream.send_message(GetSecretResponse(data=LONG + request.ID.encode()))


class Control(ControlBase):
    """Gives every session's connection to `use`."""

    def __init__(self, use: Callable[[Caller], object]) -> None:
        self._use = use

    async def Session(self, stream: Stream[wire.BytesMessage, wire.BytesMessage]) -> None:
        tunnel = Tunnel(stream)
        caller = Caller(tunnel)
        self._use(caller)
        try:
            await stream.send_initial_metadata()
            await tunnel.carry()
        finally:
            caller.close()

    async def Solve(self, stream: object) -> None: ...
    async def Status(self, stream: object) -> None: ...
    async def DiskUsage(self, stream: object) -> None: ...
    async def Prune(self, stream: object) -> None: ...
    async def Info(self, stream: object) -> None: ...
    async def ListWorkers(self, stream: object) -> None: ...
    async def ListenBuildHistory(self, stream: object) -> None: ...
    async def UpdateBuildHistory(self, stream: object) -> None: ...


@asynccontextmanager
async def session() -> AsyncIterator[tuple[Caller, Served, Caller]]:
    """The engine's caller inside a client's call; that client's end of it; and its connection."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near_transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
    far_transport, _ = await loop.create_connection(asyncio.Protocol, sock=far)
    inside: asyncio.Future[Caller] = loop.create_future()
    engine = Served(far_transport, [Control(inside.set_result)])  # type: ignore[abstract]
    outer = Caller(near_transport)
    async with ControlStub(outer).Session.open() as stream:
        await stream.send_request()
        tunnel = Tunnel(stream)  # type: ignore[arg-type]
        offered = Served(tunnel, [Secrets()])
        async with asyncio.TaskGroup() as group:

            async def carry() -> None:
                await tunnel.carry()
                await stream.end()

            carrying = group.create_task(carry())
            yield await inside, offered, outer
            tunnel.close()
            await carrying
    outer.close()
    await engine.wait()


async def test_calls_go_through_a_call() -> None:
    async with session() as (caller, _, _):
        stub = SecretsStub(caller)
        answers = await asyncio.gather(*(stub.GetSecret(GetSecretRequest(ID=str(number))) for number in range(5)))
        assert [answer.data for answer in answers] == [LONG + str(number).encode() for number in range(5)]


async def test_the_end_of_the_client_is_that_of_its_session() -> None:
    async with session() as (caller, offered, _):
        await SecretsStub(caller).GetSecret(GetSecretRequest(ID="1"))
        await offered.aclose()
        await caller.lost.wait()
        with pytest.raises((ConnectionError, StreamTerminatedError)):
            await SecretsStub(caller).GetSecret(GetSecretRequest(ID="2"))
