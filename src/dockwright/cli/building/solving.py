"""One build over BuildKit's protocol: a session that lends what it needs, the call that builds, and what it tells meanwhile."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from grpclib._typing import IServable
from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright.buildkit.connection import Caller, Served
from dockwright.buildkit.proto.control_grpc import ControlStub
from dockwright.buildkit.proto.control_pb2 import (
    CacheOptions,
    CacheOptionsEntry,
    Exporter,
    ListWorkersRequest,
    SolveRequest,
    StatusRequest,
)
from dockwright.buildkit.proto.gateway_grpc import LLBBridgeStub
from dockwright.buildkit.proto.gateway_pb2 import PingRequest, ReturnRequest
from dockwright.buildkit.proto.gateway_pb2 import SolveRequest as BridgeRequest
from dockwright.buildkit.proto.status_pb2 import Status as StatusMessage
from dockwright.cli.building.attributes import GATEWAY_IP
from dockwright.cli.building.connecting import upgrade
from dockwright.cli.building.entries import Cache
from dockwright.cli.building.faces import Face
from dockwright.cli.building.failing import failure
from dockwright.cli.building.outputs import Output
from dockwright.cli.building.translating import update
from dockwright.client.endpoint import Endpoint
from dockwright.errors import HostFailure
from dockwright.tasks import first

_TICK_S = 0.1
# What the engine still has to tell of a build that has ended.
_LAST_WORDS_S = 3.0
_FRONTEND = "dockerfile.v0"
_GATEWAY_LABEL = "org.mobyproject.buildkit.worker.moby.host-gateway-ip"
_BUILD_ID = "buildkit-controlapi-buildid"


@dataclass(frozen=True)
class Request:
    """What to build. `services` answer the engine on the session that `shared_key` names."""

    attributes: dict[str, str]
    outputs: Sequence[Output] = ()
    imports: Sequence[Cache] = ()
    exports: Sequence[Cache] = ()
    entitlements: Sequence[str] = ()
    services: Sequence[IServable] = ()
    shared_key: str = ""
    shown: dict[str, str] = field(default_factory=dict)


async def solve(
    endpoint: Endpoint, request: Request, face: Face, headers: Sequence[tuple[str, str]] = ()
) -> dict[str, str]:
    """Build; what the exporters answer. Cancelled, the engine gives the build up. Raises `BuildFailed`."""
    async with _connected(endpoint, request, face, headers) as build:
        return await build.solve(frontend=_FRONTEND)


async def ask(
    endpoint: Endpoint, request: Request, name: str, face: Face, headers: Sequence[tuple[str, str]] = ()
) -> dict[str, bytes]:
    """What the frontend answers to `name` (`frontend.outline`) instead of building. Raises `BuildFailed`."""
    async with _connected(endpoint, request, face, headers) as build:
        return await build.ask(name)


@asynccontextmanager
async def _connected(
    endpoint: Endpoint, request: Request, face: Face, headers: Sequence[tuple[str, str]]
) -> AsyncIterator[_Build]:
    """A build over two connections, its face kept up to date. Errors of the wire are told as the build's."""
    transport, early = await upgrade(endpoint, "/grpc", headers)
    caller = Caller(transport, None, early)
    try:
        session = secrets.token_hex(16)
        fields = [*headers, *_exposed(session, request)]
        transport, early = await upgrade(endpoint, "/session", fields)
        served = Served(transport, request.services, None, early)
        try:
            async with asyncio.TaskGroup() as group:
                build = _Build(caller, request, session)
                ticking = group.create_task(_tick(face))
                telling = group.create_task(build.tell(face))
                try:
                    yield build
                finally:
                    await _last_words(telling)
                    ticking.cancel()
        except BaseExceptionGroup as failed:
            error = first(failed)
            if isinstance(error, GRPCError | StreamTerminatedError | ConnectionError):
                raise failure(error, request.shown) from error
            raise error from None
        finally:
            await served.aclose()
    finally:
        caller.close()


def _exposed(session: str, request: Request) -> list[tuple[str, str]]:
    prefix = "X-Docker-Expose-Session-"
    fields = [(prefix + "Uuid", session), (prefix + "Name", "dockwright"), (prefix + "Sharedkey", request.shared_key)]
    return [
        *fields,
        *((prefix + "Grpc-Method", name) for service in request.services for name in service.__mapping__()),
    ]


async def _tick(face: Face) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        face.tick()


async def _last_words(telling: asyncio.Task[None]) -> None:
    """Let the engine come to the end of what it tells, for a while."""
    await asyncio.wait([telling], timeout=_LAST_WORDS_S)
    telling.cancel()


class _Build:
    def __init__(self, caller: Caller, request: Request, session: str) -> None:
        self._caller, self._request, self._session = caller, request, session
        self._control = ControlStub(caller)
        self._ref = secrets.token_hex(16)

    async def tell(self, face: Face) -> None:
        """Show what goes on until the engine says no more. That it fails to is told by the call that builds."""
        try:
            async with self._control.Status.open() as stream:
                await stream.send_message(StatusRequest(Ref=self._ref), end=True)
                async for message in stream:
                    face.take(update(message))
        except (GRPCError, StreamTerminatedError, ConnectionError):
            pass

    async def solve(self, *, frontend: str) -> dict[str, str]:
        """Build, and wait for the end. Without a frontend somebody else says what: `ask`."""
        request = self._request
        exporters = [Exporter(Type=one.kind, Attrs=dict(one.attributes)) for one in request.outputs]
        first_one = exporters[0] if exporters else Exporter()
        answer = await self._control.Solve(
            SolveRequest(
                Ref=self._ref,
                Session=self._session,
                Frontend=frontend,
                FrontendAttrs=await self._attributes(),
                Exporters=exporters,
                ExporterDeprecated=first_one.Type,
                ExporterAttrsDeprecated=first_one.Attrs,
                Cache=CacheOptions(Imports=_entries(request.imports), Exports=_entries(request.exports)),
                Entitlements=request.entitlements,
                Internal=not frontend,
            )
        )
        return dict(answer.ExporterResponse)

    async def ask(self, name: str) -> dict[str, bytes]:
        """Ask the frontend on behalf of a build that has none of its own: BuildKit's way to get its answer's metadata."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.solve(frontend=""))
            bridge, identity = LLBBridgeStub(self._caller), {_BUILD_ID: self._ref}
            await bridge.Ping(PingRequest(), metadata=identity)
            options = await self._attributes() | {
                "requestid": name,
                "frontend.caps": "moby.buildkit.frontend.subrequests",
            }
            request = BridgeRequest(Frontend=_FRONTEND, FrontendOpt=options, allowResultReturn=True)
            try:
                answer = await bridge.Solve(request, metadata=identity)
            except GRPCError as error:
                status = StatusMessage(code=error.status.value, message=error.message or "")
                await bridge.Return(ReturnRequest(error=status), metadata=identity)
                raise
            await bridge.Return(ReturnRequest(result=answer.result), metadata=identity)
        return dict(answer.result.metadata)

    async def _attributes(self) -> dict[str, str]:
        """The frontend's attributes; the address of the host, where one stands for it, as the engine knows it."""
        found = dict(self._request.attributes)
        if self._request.imports:  # the frontend is told too: BuildKit's own reads them there
            entries = [{"Type": one.kind, "Attrs": one.attributes} for one in self._request.imports]
            found["cache-imports"] = json.dumps(entries)
        hosts = found.get("add-hosts", "")
        if f"={GATEWAY_IP}" in f"{hosts},":
            found["add-hosts"] = hosts.replace(f"={GATEWAY_IP}", f"={await self._gateway()}")
        return found

    async def _gateway(self) -> str:
        answer = await self._control.ListWorkers(ListWorkersRequest())
        for worker in answer.record:
            if address := worker.Labels.get(_GATEWAY_LABEL):
                return address
        raise HostFailure("unable to derive the IP value for host-gateway: the engine does not tell it")


def _entries(found: Sequence[Cache]) -> list[CacheOptionsEntry]:
    return [CacheOptionsEntry(Type=one.kind, Attrs=one.attributes) for one in found]
