"""The service `moby.buildkit.v1.Control`: what a client asks of the engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import TypeVar

import msgspec
from grpclib.server import Stream
from multidict import CIMultiDict

from dockwright.api.buildkit import capabilities, choosing, failures
from dockwright.api.buildkit.sessions import METHOD_HEADER, Headers, Session
from dockwright.api.buildkit.sinks import SessionSink
from dockwright.api.buildkit.solves import Buildkit, Job
from dockwright.api.buildkit.stores import LAYOUT, ClientStore
from dockwright.build import CacheUse
from dockwright.build.outputs import Output, parse
from dockwright.build.policy import Space
from dockwright.build.remote_cache import CacheTo, parse_to
from dockwright.buildkit.connection import Caller
from dockwright.buildkit.errors import answering
from dockwright.buildkit.proto import control_pb2 as wire
from dockwright.buildkit.proto.control_grpc import ControlBase
from dockwright.buildkit.tunnel import Tunnel
from dockwright.errors import DockwrightError, Invalid, Unsupported
from dockwright.undo import shielded
from dockwright.units import rfc3339

T = TypeVar("T")
_MAPPED = ("local", "tar", "oci", "docker")


class Control(ControlBase):
    """One connection's."""

    def __init__(self, buildkit: Buildkit) -> None:
        self._buildkit = buildkit

    @answering
    async def Solve(self, stream: Stream[wire.SolveRequest, wire.SolveResponse]) -> None:
        request = _asked(await stream.recv_message())
        buildkit = self._buildkit
        async with (
            buildkit.solving(request.Ref, request.Session) as job,
            buildkit.records.recording(request, job.board) as job.recording,
        ):
            response = job.recording.response = await self._solve(job, request)
        await stream.send_message(wire.SolveResponse(ExporterResponse=response))

    async def _solve(self, job: Job, request: wire.SolveRequest) -> dict[str, str]:
        try:
            _check(request)
            outputs = self._outputs(request)
            job.cache_to, stores = self._caches(request)
        except DockwrightError as error:
            raise failures.of(error) from error
        job.entitlements = frozenset(request.Entitlements)
        if request.Frontend:
            returned = await self._buildkit.solve(job, request.Frontend, dict(request.FrontendAttrs))
        else:  # the client has a build function, which speaks with the bridge
            returned = await job.returned
        response = {name: value.decode("utf-8", "replace") for name, value in returned.metadata.items()}
        for ref in returned.refs:
            if not outputs:
                await self._buildkit.evaluate(job, ref)
                continue
            response |= (await self._buildkit.run(job, ref, outputs)).response
        for store in stores:
            if store.finished is not None:  # the client notes it in its directory
                response["cache.manifest"] = msgspec.json.encode(store.finished).decode()
        return response

    def _caches(self, request: wire.SolveRequest) -> tuple[list[CacheTo], list[ClientStore]]:
        """Where caches are to be written, and which of the places are the client's."""
        stores: list[ClientStore] = []

        def place(target: str, tag: str) -> ClientStore:
            stores.append(ClientStore(self._buildkit.sessions, request.Session, f"local:{target}"))
            return stores[-1]

        return [parse_to({**one.Attrs, "type": one.Type}, place) for one in request.Cache.Exports], stores

    def _outputs(self, request: wire.SolveRequest) -> list[Output]:
        exporters: Sequence[wire.Exporter] = request.Exporters
        if not exporters and request.ExporterDeprecated:
            exporters = [wire.Exporter(Type=request.ExporterDeprecated, Attrs=request.ExporterAttrsDeprecated)]
        sessions, session_id = self._buildkit.sessions, request.Session
        layout = ClientStore(sessions, session_id, LAYOUT)
        return [
            parse(
                {**_attributes(one), "type": one.Type},
                SessionSink(sessions, session_id, number) if one.Type in _MAPPED else None,
                layout=layout,
            )
            for number, one in enumerate(exporters)
        ]

    @answering
    async def Status(self, stream: Stream[wire.StatusRequest, wire.StatusResponse]) -> None:
        request = _asked(await stream.recv_message())
        async with aclosing(self._buildkit.statuses(request.Ref)) as statuses:
            async for status in statuses:
                await stream.send_message(status)

    @answering
    async def ListWorkers(self, stream: Stream[wire.ListWorkersRequest, wire.ListWorkersResponse]) -> None:
        wanted = choosing.workers(_asked(await stream.recv_message()).filter)
        worker = await capabilities.worker(self._buildkit.engine)
        await stream.send_message(wire.ListWorkersResponse(record=[worker] if wanted(worker) else []))

    @answering
    async def Info(self, stream: Stream[wire.InfoRequest, wire.InfoResponse]) -> None:
        await stream.recv_message()
        await stream.send_message(wire.InfoResponse(buildkitVersion=capabilities.version()))

    @answering
    async def DiskUsage(self, stream: Stream[wire.DiskUsageRequest, wire.DiskUsageResponse]) -> None:
        request = _asked(await stream.recv_message())
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
        request = _asked(await stream.recv_message())
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
        request = _asked(await stream.recv_message())
        # Clients reckon how long ago things were by this clock.
        await stream.send_initial_metadata(metadata={"buildkit-current-timestamp": rfc3339(time.time_ns())})
        async with aclosing(self._buildkit.records.events(request)) as events:
            async for event in events:
                await stream.send_message(event)

    @answering
    async def UpdateBuildHistory(
        self, stream: Stream[wire.UpdateBuildHistoryRequest, wire.UpdateBuildHistoryResponse]
    ) -> None:
        await self._buildkit.records.update(_asked(await stream.recv_message()))
        await stream.send_message(wire.UpdateBuildHistoryResponse())


def _asked(message: T | None) -> T:
    if message is None:
        raise Invalid("a call without a message")
    return message


def _check(request: wire.SolveRequest) -> None:
    if getattr(request.Definition, "def"):
        raise Unsupported(
            "definitions in BuildKit's low-level language are not supported: this engine builds Dockerfiles"
        )


def _attributes(exporter: wire.Exporter) -> dict[str, str]:
    """Without what says that the image is for this engine's store: all are."""
    return {name: value for name, value in exporter.Attrs.items() if (name, exporter.Type) != ("load", "moby")}


def _record(use: CacheUse) -> wire.UsageRecord:
    record = wire.UsageRecord(
        ID=use.id,
        Size=use.size_bytes,
        Description=use.description,
        RecordType=use.kind,
        UsageCount=use.uses,
        Mutable=choosing.is_mutable(use),
        InUse=use.in_use,
    )
    record.CreatedAt.FromNanoseconds(use.created_ns)
    record.LastUsedAt.FromNanoseconds(use.used_ns)
    return record
