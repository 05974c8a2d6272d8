"""What a build says, as `Status` tells it to clients: vertices, how far they are, output, warnings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from dockwright.build import Ended, Failed, Moved, Planned, Progress, Said, Started, Step, Warned
from dockwright.buildkit.proto import llb_pb2 as llb
from dockwright.buildkit.proto.control_pb2 import StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning

# What is kept for clients that ask late, and for one that reads slowly, before the build waits for it.
KEPT_LOG_BYTES = 4 * 1024 * 1024
UNREAD_BYTES = 2 * 1024 * 1024
# As clients know it from BuildKit: shown as CANCELED.
_CANCELLED = "context canceled"


@dataclass(frozen=True)
class Text:
    """The Dockerfile that warnings are about, and the vertex that read it."""

    vertex: str
    filename: str
    data: bytes


@dataclass
class Going:
    """A step that goes on."""

    step: Step
    started: Timestamp
    parts: dict[str, Timestamp] = field(default_factory=dict)


@dataclass
class Tally:
    """How far a build is: the vertices that are known, of them those that are done and those that were there, and warnings."""

    steps: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    cached: set[str] = field(default_factory=set)
    warnings: int = 0

    def add(self, status: StatusResponse) -> None:
        """Take into account what is said."""
        self.warnings += len(status.warnings)
        for one in status.vertexes:
            self.steps.add(one.digest)
            if one.HasField("completed") and not one.error:
                self.completed.add(one.digest)
            if one.cached:
                self.cached.add(one.digest)


class Listener:
    """One call of `Status`."""

    def __init__(self, history: list[StatusResponse]) -> None:
        self.unread = list(history)
        self.size = 0
        self.changed = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()

    def hear(self, status: StatusResponse, size: int) -> None:
        self.unread.append(status)
        self.size += size
        if self.size > UNREAD_BYTES:
            self.room.clear()
        self.changed.set()

    def take(self) -> StatusResponse | None:
        """All that is unread, in one."""
        if not self.unread:
            return None
        merged = StatusResponse()
        for status in self.unread:
            merged.MergeFrom(status)
        self.unread.clear()
        self.size = 0
        self.room.set()
        return merged


class Board:
    """What one build says. Told by the builder and by the frontend, heard by any number of clients, from the beginning."""

    def __init__(self) -> None:
        self._history: list[StatusResponse] = []
        self._log_bytes = 0
        self._listeners: set[Listener] = set()
        self._ended = False
        self.tally = Tally()

    def kept(self) -> Sequence[StatusResponse]:
        """What was said so far, as clients that ask late hear it."""
        return tuple(self._history)

    def end(self) -> None:
        """Nothing more is said."""
        self._ended = True
        for listener in self._listeners:
            listener.changed.set()

    async def statuses(self) -> AsyncGenerator[StatusResponse, None]:
        """What is said, until the end."""
        listener = Listener(self._history)
        self._listeners.add(listener)
        try:
            while True:
                if (status := listener.take()) is not None:
                    yield status
                elif self._ended:
                    return
                else:
                    listener.changed.clear()
                    await listener.changed.wait()
        finally:
            self._listeners.discard(listener)
            listener.room.set()

    def put(self, status: StatusResponse) -> None:
        """Say it as it is."""
        self.tally.add(status)
        size = sum(len(log.msg) for log in status.logs)
        if self._log_bytes + size <= KEPT_LOG_BYTES or not status.logs:
            self._log_bytes += size
            self._history.append(status)
        for listener in self._listeners:
            listener.hear(status, size)

    async def room(self) -> None:
        """Wait while somebody reads too slowly."""
        for listener in list(self._listeners):
            await listener.room.wait()

    def teller(self, text: Text | None = None) -> Teller:
        """A way to say what a builder says."""
        return Teller(self, text)


class Teller:
    """Translates what one builder says: its numbers are its own."""

    def __init__(self, board: Board, text: Text | None) -> None:
        self._board, self._text = board, text
        self._going: dict[int, Going] = {}
        # The step that failed first, and made the others stop.
        self.failed: Failed | None = None

    def tell(self, one: Progress) -> None:
        """Say it."""
        status = self._translated(one)
        if status is not None:
            self._board.put(status)

    def _translated(self, one: Progress) -> StatusResponse | None:
        now = _now()
        match one:
            case Planned():
                return StatusResponse(vertexes=[_vertex(step) for step in one.steps])
            case Started() if one.step is not None:
                self._going[one.number] = Going(one.step, now)
                return StatusResponse(vertexes=[_vertex(one.step, started=now)])
            case Said() if (going := self._going.get(one.number)) is not None:
                log = VertexLog(vertex=going.step.id, timestamp=now, stream=1, msg=one.data)
                return StatusResponse(logs=[log])
            case Moved() if (going := self._going.get(one.number)) is not None:
                return StatusResponse(statuses=[_moved(going, one, now)])
            case Ended() if (going := self._going.pop(one.number, None)) is not None:
                done = _vertex(going.step, started=going.started, completed=now)
                done.cached = one.cached
                return StatusResponse(vertexes=[done])
            case Failed():
                return self._failure(one, now)
            case Warned():
                return self._warning(one)
        return None

    def _failure(self, one: Failed, now: Timestamp) -> StatusResponse | None:
        if self.failed is None and not one.cancelled:
            self.failed = one
        going = self._going.pop(one.number, None)
        if going is None:
            return None
        done = _vertex(going.step, started=going.started, completed=now)
        done.error = _CANCELLED if one.cancelled else one.error
        return StatusResponse(vertexes=[done])

    def _warning(self, one: Warned) -> StatusResponse | None:
        if self._text is None:
            return None
        last = max(one.line, one.last_line)
        place = llb.Range(start=llb.Position(line=one.line), end=llb.Position(line=last))
        warning = VertexWarning(
            vertex=self._text.vertex,
            level=1,
            short=f"{one.rule}: {one.message} (line {one.line})".encode(),
            detail=[one.about.encode()] if one.about else [],
            url=one.url,
            info=llb.SourceInfo(filename=self._text.filename, data=self._text.data, language="Dockerfile"),
            ranges=[place],
        )
        return StatusResponse(warnings=[warning])


def _vertex(step: Step, started: Timestamp | None = None, completed: Timestamp | None = None) -> Vertex:
    return Vertex(digest=step.id, inputs=step.inputs, name=step.title, started=started, completed=completed)


def _moved(going: Going, one: Moved, now: Timestamp) -> VertexStatus:
    started = going.parts.setdefault(one.part, now)
    return VertexStatus(
        ID=one.part,
        vertex=going.step.id,
        name=one.part,
        current=one.current,
        total=one.total,
        timestamp=now,
        started=started,
        completed=now if one.ended else None,
    )


def _now() -> Timestamp:
    now = Timestamp()
    now.FromNanoseconds(time.time_ns())
    return now
