"""The service `moby.buildkit.v1.Control`: what a client asks of the engine."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TypeVar

from grpclib.server import Stream
from multidict import CIMultiDict

from dockwright.api.buildkit import capabilities, choosing, requests
from dockwright.api.buildkit.sessions import METHOD_HEADER, Headers, Session
from dockwright.api.buildkit.solves import Buildkit
from dockwright.build import CacheUse
from dockwright.build.policy import Space
from dockwright.buildkit.calls import asked
from dockwright.buildkit.connection import Caller
from dockwright.buildkit.errors import answering
from dockwright.buildkit.proto import control_pb2 as wire
from dockwright.buildkit.proto.control_grpc import ControlBase
from dockwright.buildkit.tunnel import Tunnel
from dockwright.undo import shielded
from dockwright.units import rfc3339

T = TypeVar("T")


class Control(ControlBase):
    """One connection's."""

    def __init__(self, buildkit: Buildkit) -> None:
        self._buildkit = buildkit

    @answering
    async def Solve(self, stream: Stream[wire.SolveRequest, wire.SolveResponse]) -> None:
        request = await asked(stream)
        response = await requests.answered(self._buildkit, request)
        await stream.send_message(wire.SolveResponse(ExporterResponse=response))

    @answering
    async def Status(self, stream: Stream[wire.StatusRequest, wire.StatusResponse]) -> None:
        request = await asked(stream)
        async with aclosing(self._buildkit.statuses(request.Ref)) as statuses:
            async for status in statuses:
                await stream.send_message(status)

    @answering
    async def ListWorkers(self, stream: Stream[wire.ListWorkersRequest, wire.ListWorkersResponse]) -> None:
        wanted = choosing.workers((await asked(stream)).filter)
        worker = await capabilities.worker(self._buildkit.engine)
        await stream.send_message(wire.ListWorkersResponse(record=[worker] if wanted(worker) else []))

    @answering
    async def Info(self, stream: Stream[wire.InfoRequest, wire.InfoResponse]) -> None:
        await stream.recv_message()
        await stream.send_message(wire.InfoResponse(buildkitVersion=capabilities.version()))

    @answering
    async def DiskUsage(self, stream: Stream[wire.DiskUsageRequest, wire.DiskUsageResponse]) -> None:
        request = await asked(stream)
        wanted = choosing.uses(request.filter)
        latest_ns = time.time_ns() - request.ageLimit if request.ageLimit else None
        uses = [
            use
            for use in await self._buildkit.engine.builder.usage()
            if wanted(use) and (latest_ns is None or use.used_ns <= latest_ns)
        ]
        await stream.send_message(wire.DiskUsageResponse(record=[_record(use) for use in uses]))

    @answering
    async def Prune(self, stream: Stream[wire.PruneRequest, wire.UsageRecord]) -> None:
        request = await asked(stream)
        until = {"until": [f"{request.keepDuration}ns"]} if request.keepDuration else {}
        builder = self._buildkit.engine.builder
        before = {use.id: use for use in await builder.usage()}
        space = Space(request.reservedSpace, request.maxUsedSpace, request.minFreeSpace)
        chosen = choosing.uses(request.filter)
        pruning = builder.prune(until, everything=request.all, space=space, chosen=chosen)
        pruned = await shielded(pruning, limit_s=None)
        for use_id in pruned.ids:
            if (use := before.get(use_id)) is not None:
                await stream.send_message(_record(use))

    @answering
    async def Session(self, stream: Stream[wire.BytesMessage, wire.BytesMessage]) -> None:
        """A client's session on this connection, instead of one of its own that begins with an upgrade of `/session`."""
        metadata = CIMultiDict((name, text) for name, text in (stream.metadata or {}).items() if isinstance(text, str))
        headers = Headers.of(metadata, metadata.getall(METHOD_HEADER, []))
        tunnel = Tunnel(stream)
        caller = Caller(tunnel)
        try:
            with self._buildkit.sessions.opened(Session(headers, caller)):
                await stream.send_initial_metadata()
                await tunnel.carry()
        finally:
            caller.close()

    @answering
    async def ListenBuildHistory(self, stream: Stream[wire.BuildHistoryRequest, wire.BuildHistoryEvent]) -> None:
        request = await asked(stream)
        # Clients reckon how long ago things were by this clock.
        await stream.send_initial_metadata(metadata={"buildkit-current-timestamp": rfc3339(time.time_ns())})
        async with aclosing(self._buildkit.records.events(request)) as events:
            async for event in events:
                await stream.send_message(event)

    @answering
    async def UpdateBuildHistory(
        self, stream: Stream[wire.UpdateBuildHistoryRequest, wire.UpdateBuildHistoryResponse]
    ) -> None:
        await self._buildkit.records.update(await asked(stream))
        await stream.send_message(wire.UpdateBuildHistoryResponse())


def _record(use: CacheUse) -> wire.UsageRecord:
    record = wire.UsageRecord(
        ID=use.id,
        Size=use.size_bytes,
        Description=use.description,
        RecordType=use.kind,
        UsageCount=use.uses,
        Mutable=choosing.is_mutable(use),
        InUse=use.in_use,
        Shared=use.shared,
    )
    record.CreatedAt.FromNanoseconds(use.created_ns)
    record.LastUsedAt.FromNanoseconds(use.used_ns)
    return record
