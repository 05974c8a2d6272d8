"""What is known about a build: its steps in the order they began, their output, their parts and warnings.

Fed with `events.Update`; knows nothing of who tells it, nor of how it is shown.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

from dockwright.cli.building.events import Log, Status, Update, Vertex, Warning

# Of a step's output this many lines are kept by who has shown the others, to be told with its failure.
KEPT_LINES = 200
# A line without an end grows to this at most.
LINE_LIMIT = 16 * 1024
_UTF8 = codecs.getincrementaldecoder("utf-8")


@dataclass(slots=True)
class Line:
    """A line of output, and when its first piece came: nanoseconds after its step began."""

    text: str
    after_ns: int


@dataclass(slots=True)
class Step:
    """One vertex. `spans` are the times it ran: begin to end, None while it runs."""

    vertex: Vertex
    spans: dict[int, int | None] = field(default_factory=dict)
    statuses: dict[str, Status] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    written: int = 0  # lines of output so far, the open one included
    open: bool = False  # the last line has no end yet
    # A character may come in two pieces.
    _decoder: codecs.IncrementalDecoder = field(default_factory=lambda: _UTF8("replace"), repr=False)

    @property
    def started(self) -> bool:
        return bool(self.spans)

    @property
    def completed(self) -> bool:
        return self.started and all(end is not None for end in self.spans.values())

    @property
    def failed(self) -> bool:
        return bool(self.vertex.error) and not self.vertex.cancelled

    def running_ns(self, now_ns: int) -> int:
        """How long it has run: overlapping spans count once."""
        total, until = 0, 0
        for begin, end in sorted(self.spans.items()):
            stop = now_ns if end is None else end
            total += max(0, stop - max(begin, until))
            until = max(until, stop)
        return total

    def forget(self) -> None:
        """Keep the last lines alone."""
        del self.lines[:-KEPT_LINES]

    def take_log(self, log: Log) -> None:
        """Take output: lines are cut at their ends, of which the last may be missing yet."""
        begun = max(self.spans, default=log.timestamp_ns)
        pieces = self._decoder.decode(log.data).split("\n")
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            if self.open and number == 0:
                self.lines[-1].text = (self.lines[-1].text + piece)[:LINE_LIMIT]
            elif piece or not last:
                self.lines.append(Line(piece[:LINE_LIMIT], max(0, log.timestamp_ns - begun)))
                self.written += 1
        self.open = bool(pieces[-1]) or (self.open and len(pieces) == 1)


class Model:
    """The build as a whole."""

    def __init__(self) -> None:
        self._known: dict[str, Step] = {}
        self.steps: list[Step] = []
        self.warnings: list[Warning] = []
        self.begun_ns: int | None = None

    @property
    def total(self) -> int:
        """Steps that are known, whether or not they have begun."""
        return len(self._known)

    @property
    def completed(self) -> int:
        return sum(step.completed for step in self.steps)

    @property
    def failed(self) -> list[Step]:
        """Steps that failed by themselves."""
        return [step for step in self.steps if step.failed]

    def step(self, digest: str) -> Step | None:
        return self._known.get(digest)

    def take(self, update: Update) -> set[str]:
        """Learn; returns the digests of the steps that changed."""
        changed = {vertex.digest for vertex in update.vertexes if self._take_vertex(vertex)}
        for status in update.statuses:
            if (step := self._known.get(status.vertex)) is not None:
                step.statuses[status.id] = status
                changed.add(status.vertex)
        for log in update.logs:
            if (step := self._known.get(log.vertex)) is not None:
                step.take_log(log)
                changed.add(log.vertex)
        for warning in update.warnings:
            self.warnings.append(warning)
            if (step := self._known.get(warning.vertex)) is not None:
                step.warnings.append(warning)
                changed.add(warning.vertex)
        return changed

    def _take_vertex(self, vertex: Vertex) -> bool:
        step = self._known.get(vertex.digest)
        if step is None:
            step = self._known[vertex.digest] = Step(vertex)
        before, first = step.vertex, not step.started
        if vertex.started_ns is not None:
            self.begun_ns = self.begun_ns or vertex.started_ns
            step.spans[vertex.started_ns] = vertex.completed_ns
            if first:
                self.steps.append(step)
        if first or vertex.started_ns is not None:  # the graph may be told again after a step has begun
            step.vertex = vertex
        return vertex.started_ns is not None and (first or vertex != before)
