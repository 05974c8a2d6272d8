"""Progress as lines of text, `#5 0.312 hello`: for files, pipes and CI.

Steps that run side by side take turns: one is shown for as long as its output comes, another gets its turn when it ends, or
when the shown one has had its share. What a step that was not shown has said is told when its turn comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dockwright.cli.building.events import Status, Update
from dockwright.cli.building.lines import amount, seconds
from dockwright.cli.building.model import Model, Step

# How long a step is shown at least before one that says more takes over, and how long one waits at most.
_FLICKER_S, _PATIENCE_S = 5.0, 10.0
# A part is told again after so long, or so much.
_AGAIN_S, _AGAIN_SHARE = 5.0, 0.05
# Lines of a failed step that are told once more at the end.
_LAST_LINES = 10


class _Told:
    """How much of a step has been told. `since` is when the first thing was left untold, `waiting` how many there are."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lines = 0
        self.column = 0  # characters of the open line
        self.warnings = 0
        self.statuses: dict[str, Status] = {}
        self.changed: set[str] = set()
        self.since = 0.0
        self.waiting = 0
        self.ended = False


class Plain:
    """A face. `write` takes text; `clock` is monotonic, in seconds."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self.model = Model()
        self._told: dict[str, _Told] = {}
        self._numbers = 0
        self._waiting: dict[str, None] = {}
        self._current = ""
        self._first = True

    def take(self, update: Update) -> None:
        now = self._clock()
        for digest in self.model.take(update):
            told = self._told.setdefault(digest, _Told(0))
            told.since = told.since if told.waiting else now
            told.waiting += 1
            self._waiting[digest] = None
        for status in update.statuses:
            if status.vertex in self._told:
                self._told[status.vertex].changed.add(status.id)
        self.tick()

    def tick(self) -> None:
        """Tell what may be told by now."""
        waiting = [(digest, step) for digest in self._waiting if (step := self.model.step(digest)) and step.started]
        done = [(digest, step) for digest, step in waiting if step.completed]
        done.sort(key=lambda item: (item[0] != self._current, max(end or 0 for end in item[1].spans.values())))
        for digest, _ in done:
            self._tell(digest)
        running = [digest for digest, step in waiting if not step.completed]
        if self._current in running:
            self._tell(self._current)
        if running:
            self._turn(running)

    def close(self) -> None:
        """Tell the rest: output of steps that never ended, and once more how failed ones came to fail."""
        for digest in list(self._waiting):
            if (step := self.model.step(digest)) is not None and step.started:
                self._tell(digest)
        self._end_open_line()
        self._write(failures(self.model, _LAST_LINES))

    def _turn(self, running: list[str]) -> None:
        """Whether another step takes over, and which."""
        others = [digest for digest in running if digest != self._current]
        if not others:
            return
        now = self._clock()
        loudest = max(others, key=lambda digest: self._told[digest].waiting)
        patient = [digest for digest in others if now - self._told[digest].since > _PATIENCE_S]
        if not self._current:
            self._tell(loudest)
        elif patient:
            self._tell(patient[0])
        elif now - self._shown_since > _FLICKER_S and self._told[loudest].waiting > self._told[self._current].waiting:
            self._tell(loudest)

    def _tell(self, digest: str) -> None:
        step = self.model.step(digest)
        assert step is not None
        told = self._told[digest]
        if digest != self._current:
            self._begin(digest, step, told)
        open_parts = self._tell_parts(step, told)
        for warning in step.warnings[told.warnings :]:
            self._line(f"#{told.number} WARN: {warning.short}")
        told.warnings = len(step.warnings)
        self._tell_output(step, told)
        told.waiting = 0
        self._waiting.pop(digest, None)
        if step.completed and not open_parts:
            self._end_open_line()
            self._line(f"#{told.number} {_outcome(step)}")
            self._current = ""

    def _begin(self, digest: str, step: Step, told: _Told) -> None:
        if self._current:
            self._end_open_line()
            self._line(f"#{self._told[self._current].number} ...")
        if not self._first:
            self._line("")
        self._first = False
        if not told.number:
            self._numbers += 1
            told.number = self._numbers
        self._line(f"#{told.number} {step.vertex.name}")
        self._current, self._shown_since = digest, self._clock()

    def _tell_parts(self, step: Step, told: _Told) -> bool:
        """Tell parts that moved on; whether one of them has not ended."""
        for name, status in step.statuses.items():
            if name in told.changed and _worth_telling(status, told.statuses.get(name)):
                told.statuses[name] = status
                self._line(f"#{told.number} {_part(status)}")
        told.changed.clear()
        return any(one.started_ns is not None and one.completed_ns is None for one in step.statuses.values())

    def _tell_output(self, step: Step, told: _Told) -> None:
        """Lines not told yet; of one that has no end yet, as much as there is."""
        untold = step.written - told.lines
        if told.column:
            untold += 1
        if not untold:
            return
        for number, line in enumerate(step.lines[-untold:]):
            if told.column and number == 0:
                self._write(line.text[told.column :])
            else:
                self._write(f"#{told.number} {seconds(line.after_ns)} {line.text}")
            still_open = step.open and number == untold - 1
            told.column = len(line.text) if still_open else 0
            if not still_open:
                self._write("\n")
        told.lines = step.written
        step.forget()

    def _end_open_line(self) -> None:
        told = self._told.get(self._current)
        if told is not None and told.column:
            self._write("\n")
            told.column = 0

    def _line(self, text: str) -> None:
        self._write(f"{text}\n")


def _worth_telling(status: Status, last: Status | None) -> bool:
    if last is None or status.completed_ns is not None:
        return last is None or last.completed_ns is None
    share = (status.current - last.current) / status.total if status.total else 0.0
    return share >= _AGAIN_SHARE or status.timestamp_ns - last.timestamp_ns >= _AGAIN_S * 1e9


def _part(status: Status) -> str:
    text = status.id
    if told := amount(status.current, status.total):
        text += f" {told}"
    if status.started_ns is not None:
        elapsed = ((status.completed_ns or status.timestamp_ns) - status.started_ns) / 1e9
        text += f" {elapsed:.1f}s" if elapsed > 0.01 else ""
    return text + (" done" if status.completed_ns is not None else "")


def _outcome(step: Step) -> str:
    if step.vertex.error:
        return "CANCELED" if step.vertex.cancelled else f"ERROR: {step.vertex.error}"
    if step.vertex.cached:
        return "CACHED"
    return f"DONE {step.running_ns(0) / 1e9:.1f}s"


def failures(model: Model, lines: int) -> str:
    """Each step that failed with the last `lines` lines of its output."""
    told = ""
    for step in model.failed:
        output = "".join(f"{seconds(line.after_ns)} {line.text}\n" for line in step.lines[-lines:])
        told += f"------\n > {step.vertex.name}:\n{output}------\n"
    return told
