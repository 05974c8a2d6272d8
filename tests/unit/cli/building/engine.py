"""A small engine that speaks BuildKit's protocol: what its builds do is a function of the test."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from grpclib.server import Stream

from dockwright.buildkit.connection import Caller, Served
from dockwright.buildkit.filesync import Received, Wanted, receive
from dockwright.buildkit.proto.control_grpc import ControlBase
from dockwright.buildkit.proto.control_pb2 import (
    ListWorkersResponse,
    SolveRequest,
    SolveResponse,
    StatusResponse,
)
from dockwright.buildkit.proto.filesync_grpc import FileSyncStub
from dockwright.buildkit.proto.gateway_grpc import LLBBridgeBase
from dockwright.buildkit.proto.gateway_pb2 import PongResponse, Result, ReturnResponse
from dockwright.buildkit.proto.gateway_pb2 import SolveResponse as BridgeResponse
from dockwright.buildkit.proto.worker_pb2 import WorkerRecord
from dockwright.errors import Unsupported

Script = Callable[["Build"], Awaitable[Mapping[str, str]]]
GATEWAY = "10.9.8.7"


class Build:
    """One build as the engine sees it."""

    def __init__(self, request: SolveRequest, session: Caller, headers: Mapping[str, list[str]]) -> None:
        self.request, self.session, self.headers = request, session, headers
        self.status: asyncio.Queue[StatusResponse | None] = asyncio.Queue()

    @property
    def attributes(self) -> dict[str, str]:
        return dict(self.request.FrontendAttrs)

    async def fetch(self, wanted: Wanted, into: Path) -> Received:
        """Files of the client, as `into/fs`."""
        async with FileSyncStub(self.session).DiffCopy.open(metadata=wanted.metadata()) as stream:
            await stream.send_request()
            received = await receive(stream, into, owner=None)
            await stream.end()
            return received


class Engine:
    """Listens on a unix socket in a thread of its own. `script` is what a build does; `answer` what the frontend is asked."""

    def __init__(
        self, directory: Path, script: Script, answers: Mapping[str, Mapping[str, bytes]] | None = None
    ) -> None:
        self.socket = directory / "b.sock"
        self.script, self.answers = script, answers or {}
        self.builds: list[Build] = []
        self.given_up = threading.Event()
        self.sessions: dict[str, asyncio.Future[tuple[Caller, dict[str, list[str]]]]] = {}
        self.made: dict[str, asyncio.Future[Build]] = {}
        self.asked: dict[str, tuple[asyncio.Future[Mapping[str, bytes]], dict[str, str]]] = {}
        self._started: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._started.result(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        server = await asyncio.start_unix_server(self._connected, sock=listener)
        self._started.set_result(None)
        await self._ended.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await self._answer(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            headers: dict[str, list[str]] = {}
            for line in filter(None, head[1:]):
                name, _, value = line.partition(": ")
                headers.setdefault(name.lower(), []).append(value)
            if path.endswith("/_ping"):
                writer.write(b"HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nBuilder-Version: 2\r\nContent-Length: 0\r\n\r\n")
                continue
            writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            await writer.drain()
            transport = writer.transport
            former = transport.get_protocol()
            early = reader._buffer  # type: ignore[attr-defined]
            if path == "/session":
                await self._session(transport, former, bytes(early), headers)
            else:
                served = Served(transport, [_Control(self), _Bridge(self)], former, bytes(early))
                try:
                    await served.wait()
                finally:
                    await served.aclose()
            return

    async def _session(self, transport: Any, former: Any, early: bytes, headers: dict[str, list[str]]) -> None:
        caller = Caller(transport, former, early)
        self.session(headers["x-docker-expose-session-uuid"][0]).set_result((caller, headers))
        try:
            await caller.lost.wait()
        finally:
            caller.close()

    def session(self, name: str) -> asyncio.Future[tuple[Caller, dict[str, list[str]]]]:
        return self.sessions.setdefault(name, asyncio.get_running_loop().create_future())

    def build(self, ref: str) -> asyncio.Future[Build]:
        return self.made.setdefault(ref, asyncio.get_running_loop().create_future())


class _Control(ControlBase):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Solve(self, stream: Stream[Any, Any]) -> None:
        request = await stream.recv_message()
        caller, headers = await self._engine.session(request.Session)
        build = Build(request, caller, headers)
        self._engine.builds.append(build)
        self._engine.build(request.Ref).set_result(build)
        try:
            if request.Frontend:
                answer = await self._engine.script(build)
            else:
                returned = asyncio.get_running_loop().create_future()
                self._engine.asked[request.Ref] = (returned, {})
                await returned
                answer = {}
        except asyncio.CancelledError:
            self._engine.given_up.set()
            raise
        finally:
            build.status.put_nowait(None)
        await stream.send_message(SolveResponse(ExporterResponse=answer))

    async def Status(self, stream: Stream[Any, Any]) -> None:
        request = await stream.recv_message()
        build = await self._engine.build(request.Ref)
        while (message := await build.status.get()) is not None:
            await stream.send_message(message)

    async def ListWorkers(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        labels = {"org.mobyproject.buildkit.worker.moby.host-gateway-ip": GATEWAY}
        await stream.send_message(ListWorkersResponse(record=[WorkerRecord(Labels=labels)]))

    async def DiskUsage(self, stream: Stream[Any, Any]) -> None:
        raise Unsupported("not here")

    Prune = Session = Info = ListenBuildHistory = UpdateBuildHistory = DiskUsage


class _Bridge(LLBBridgeBase):
    """The calls of a build whose function runs in the client."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Ping(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        await self._engine.build(self._ref(stream))
        await stream.send_message(PongResponse())

    async def Solve(self, stream: Stream[Any, Any]) -> None:
        request = await stream.recv_message()
        answer = self._engine.answers[request.FrontendOpt["requestid"]]
        await stream.send_message(BridgeResponse(result=Result(metadata=dict(answer))))

    async def Return(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        self._engine.asked[self._ref(stream)][0].set_result({})
        await stream.send_message(ReturnResponse())

    def _ref(self, stream: Stream[Any, Any]) -> str:
        assert stream.metadata is not None
        return str(stream.metadata["buildkit-controlapi-buildid"])

    async def Inputs(self, stream: Stream[Any, Any]) -> None:
        raise Unsupported("not here")

    ResolveImageConfig = ResolveSourceMeta = ReadFile = ReadDir = StatFile = Evaluate = Warn = Inputs
