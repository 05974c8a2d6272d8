"""Records of builds, as `buildx history` and Docker Desktop read them: those under way, and those that the engine keeps."""

from __future__ import annotations

import asyncio
import base64
import logging
import sqlite3
import struct
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from dockwright import workers
from dockwright.api.buildkit.board import Board
from dockwright.api.buildkit.choosing import chosen
from dockwright.build.chronicle import Chronicle, Record
from dockwright.build.outputs.result import Attestation
from dockwright.build.sources import gitref
from dockwright.buildkit.proto import control_pb2 as wire
from dockwright.buildkit.proto.status_pb2 import Status as StatusMessage
from dockwright.errors import DockwrightError, Unavailable
from dockwright.oci import Descriptor, Platform
from dockwright.oci import digest as digests
from dockwright.undo import shielded

# Events that wait for one listener; one that leaves more unread is hung up on.
UNREAD_EVENTS = 1000
_LOG_TYPE = "application/vnd.buildkit.status.v0"
_ERROR_TYPE = "application/vnd.googeapis.google.rpc.status+proto"
_STATEMENT_TYPE = "application/vnd.in-toto+json"
_PREDICATE = "in-toto.io/predicate-type"
_DESCRIPTOR = "containerimage.descriptor"
_LENGTH = struct.Struct("<I")
logger = logging.getLogger(__name__)


@dataclass
class Recording:
    """A build under way: what becomes its record when it ends."""

    record: wire.BuildHistoryRecord
    board: Board
    response: Mapping[str, str] = field(default_factory=dict)
    attestations: list[tuple[Platform, Attestation]] = field(default_factory=list)

    def asked(self, frontend: str, attributes: Mapping[str, str]) -> None:
        """What a frontend was asked for: the first time counts."""
        if not self.record.Frontend:
            self.record.Frontend = frontend
        if not self.record.FrontendAttrs:
            self.record.FrontendAttrs.update(_without_secrets(attributes))

    def count(self) -> None:
        """How far it is."""
        tally = self.board.tally
        self.record.numTotalSteps = len(tally.steps)
        self.record.numCompletedSteps = len(tally.completed)
        self.record.numCachedSteps = len(tally.cached)
        self.record.numWarnings = tally.warnings


class _Listener:
    """Somebody who waits for news."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[wire.BuildHistoryEvent] = asyncio.Queue(UNREAD_EVENTS)
        self.late = False

    def hear(self, event: wire.BuildHistoryEvent) -> None:
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            self.late = True

    async def next(self) -> wire.BuildHistoryEvent:
        if self.late and self.events.empty():
            raise Unavailable("the history of builds was read too slowly: more happened than is kept for a listener")
        return await self.events.get()


class Records:
    """Those of one engine."""

    def __init__(self, history: Chronicle) -> None:
        self._history = history
        self._going: dict[str, Recording] = {}
        self._listeners: set[_Listener] = set()

    @asynccontextmanager
    async def recording(self, request: wire.SolveRequest, board: Board) -> AsyncIterator[Recording]:
        """A build for as long as the context lasts; how it ends is kept, unless its client calls it internal."""
        record = wire.BuildHistoryRecord(
            Ref=request.Ref,
            Frontend=request.Frontend,
            FrontendAttrs=_without_secrets(request.FrontendAttrs),
            Exporters=request.Exporters,
            CreatedAt=_now(),
        )
        recording = Recording(record, board)
        if request.Internal:
            yield recording
            return
        self._going[request.Ref] = recording
        self._tell(wire.STARTED, record)
        try:
            yield recording
        except BaseException as error:
            await shielded(self._end(recording, error), limit_s=None)
            raise
        await shielded(self._end(recording), limit_s=None)

    async def _end(self, recording: Recording, error: BaseException | None = None) -> None:
        record = recording.record
        record.CompletedAt.CopyFrom(_now())
        record.ExporterResponse.update(recording.response)
        recording.count()
        documents = [*_results(recording), *_failure(record, error)]
        log = await workers.quick(_packed, recording.board.kept())
        record.logs.CopyFrom(_descriptor(_LOG_TYPE, log))
        kept = Record(record.Ref, record.CreatedAt.ToNanoseconds(), False, record.SerializeToString())
        gone: list[str] = []
        try:
            gone = await self._history.add(kept, log, documents)
        except (DockwrightError, OSError, sqlite3.Error) as failed:  # a full disk, mostly: the build itself is done
            logger.warning("the build %s is not recorded: %s", record.Ref, failed)
        finally:
            del self._going[record.Ref]
        self._tell(wire.COMPLETE, record)
        for ref in gone:
            self._tell(wire.DELETED, wire.BuildHistoryRecord(Ref=ref))

    async def events(self, request: wire.BuildHistoryRequest) -> AsyncGenerator[wire.BuildHistoryEvent, None]:
        """What is asked for: the builds that are there, then, without `EarlyExit`, what becomes of them and new ones."""
        wanted = chosen(request.Filter)
        listener = _Listener()
        if not request.EarlyExit:
            self._listeners.add(listener)
        try:
            there = [event for event in await self._there(request.ActiveOnly) if _matches(request.Ref, wanted, event)]
            for event in there[: request.Limit or None]:
                yield event
            while not request.EarlyExit:
                event = await listener.next()
                if _matches(request.Ref, wanted, event) and not (request.ActiveOnly and event.type == wire.DELETED):
                    yield event
        finally:
            self._listeners.discard(listener)

    async def _there(self, active_only: bool) -> list[wire.BuildHistoryEvent]:
        """The newest first."""
        kept = [] if active_only else await self._history.all()
        events = [wire.BuildHistoryEvent(type=wire.COMPLETE, record=_read(one)) for one in kept]
        for recording in self._going.values():
            recording.count()
            events.append(wire.BuildHistoryEvent(type=wire.STARTED, record=recording.record))
        return sorted(events, key=lambda event: event.record.CreatedAt.ToNanoseconds(), reverse=True)

    async def update(self, request: wire.UpdateBuildHistoryRequest) -> None:
        """Pin, let go or delete. Raises `NotFound`."""
        if request.Finalize and not request.Delete:
            return  # a record is whole from the beginning: there are no traces that come later
        if request.Delete:
            await self._history.remove(request.Ref)
            self._tell(wire.DELETED, wire.BuildHistoryRecord(Ref=request.Ref))
            return
        await self._history.pin(request.Ref, request.Pinned)
        for one in await self._history.all():
            if one.ref == request.Ref:
                self._tell(wire.COMPLETE, _read(one))

    async def statuses(self, ref: str) -> list[wire.StatusResponse] | None:
        """What a build said that has ended; None where there is no record of it."""
        log = await self._history.log(ref)
        return None if log is None else await workers.quick(_unpacked, log)

    async def document(self, digest: str) -> bytes | None:
        """What a record points at."""
        return await self._history.document(digest)

    def _tell(self, kind: wire.BuildHistoryEventType.ValueType, record: wire.BuildHistoryRecord) -> None:
        event = wire.BuildHistoryEvent(type=kind, record=record)
        for listener in self._listeners:
            listener.hear(event)


def _matches(ref: str, wanted: Callable[[wire.BuildHistoryRecord], bool], event: wire.BuildHistoryEvent) -> bool:
    return ref in ("", event.record.Ref) and (event.type == wire.DELETED or wanted(event.record))


def _read(one: Record) -> wire.BuildHistoryRecord:
    record = wire.BuildHistoryRecord.FromString(one.content)
    record.pinned = one.pinned
    return record


def _results(recording: Recording) -> list[bytes]:
    """Note the image that was made, and what is said of each platform's files; the documents that it is said in."""
    record, documents = recording.record, []
    several = len({platform for platform, _ in recording.attestations}) > 1
    for platform, said in recording.attestations:
        info = record.Results[str(platform)] if several else record.Result
        info.Attestations.append(_descriptor(_STATEMENT_TYPE, said.predicate, {_PREDICATE: said.predicate_type}))
        documents.append(said.predicate)
    if encoded := recording.response.get(_DESCRIPTOR):
        image = msgspec.json.decode(base64.b64decode(encoded), type=Descriptor)
        found = wire.Descriptor(media_type=image.media_type, digest=image.digest, size=image.size)
        record.Result.Results[0].CopyFrom(found)
    return documents


def _without_secrets(attributes: Mapping[str, str]) -> dict[str, str]:
    """Addresses of contexts may carry a password."""
    return {name: gitref.redacted(text) if _is_address(name) else text for name, text in attributes.items()}


def _is_address(name: str) -> bool:
    return name in ("context", "vcs:source") or name.startswith("context:")


def _failure(record: wire.BuildHistoryRecord, error: BaseException | None) -> list[bytes]:
    """Note why it failed; the details, which are kept beside the record."""
    if error is None:
        return []
    if not isinstance(error, GRPCError):
        cancelled = isinstance(error, asyncio.CancelledError)
        code, message = (Status.CANCELLED, "context canceled") if cancelled else (Status.UNKNOWN, str(error))
        record.error.CopyFrom(StatusMessage(code=code.value, message=message))
        return []
    record.error.CopyFrom(StatusMessage(code=error.status.value, message=error.message or ""))
    whole = StatusMessage()
    whole.CopyFrom(record.error)
    whole.details.extend(AnyMessage(type_url=one.url, value=one.value) for one in error.details or ())
    content = whole.SerializeToString()
    record.externalError.CopyFrom(_descriptor(_ERROR_TYPE, content))
    return [content]


def _descriptor(media_type: str, content: bytes, annotations: Mapping[str, str] | None = None) -> wire.Descriptor:
    return wire.Descriptor(
        media_type=media_type, digest=digests.of(content), size=len(content), annotations=annotations or {}
    )


def _packed(statuses: Sequence[wire.StatusResponse]) -> bytes:
    """One after another, each with its length before it, as BuildKit keeps logs."""
    contents = [one.SerializeToString() for one in statuses]
    return b"".join(part for content in contents for part in (_LENGTH.pack(len(content)), content))


def _unpacked(log: bytes) -> list[wire.StatusResponse]:
    found, at = [], 0
    while at < len(log):
        (length,) = _LENGTH.unpack_from(log, at)
        at += _LENGTH.size
        found.append(wire.StatusResponse.FromString(log[at : at + length]))
        at += length
    return found


def _now() -> Timestamp:
    now = Timestamp()
    now.FromNanoseconds(time.time_ns())
    return now
