"""Progress in a terminal: one line a step, with the last lines of output below those that run; redrawn in place.

The block is never higher than the window: steps that are done are folded into one line where there is no room. What stays in
the end is the whole list. ECMA-48 cursor movements.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dockwright.cli.building.colors import Colors, painted
from dockwright.cli.building.events import Status, Update
from dockwright.cli.building.lines import aligned, amount, clipped, harmless, width
from dockwright.cli.building.model import KEPT_LINES, Model, Step
from dockwright.cli.building.plain import failures

INTERVAL_S = 0.1
LOG_LINES = 6
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
# Parts of a step that is done are folded after this many.
_PARTS = 8


class Terminal:
    """A face. `size` gives columns and rows at each drawing; `clock` is monotonic in seconds, `now_ns` the time of day."""

    def __init__(
        self,
        write: Callable[[str], None],
        size: Callable[[], tuple[int, int]],
        colors: Colors,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
        log_lines: int = LOG_LINES,
    ) -> None:
        self._write, self._size, self._colors = write, size, colors
        self._clock, self._now_ns, self._log_lines = clock, now_ns, log_lines
        self.model = Model()
        self._begun = clock()
        self._drawn_at = self._begun - INTERVAL_S
        self._widths: list[int] = []
        # The engine's clock may differ from ours: what it says about a running step is moved by this.
        self._skew_ns: int | None = None

    def take(self, update: Update) -> None:
        for digest in self.model.take(update):
            if (step := self.model.step(digest)) is not None:
                step.forget()
        if self._skew_ns is None and self.model.begun_ns is not None:
            self._skew_ns = self._now_ns() - self.model.begun_ns
        if self._clock() - self._drawn_at >= INTERVAL_S:
            self.tick()

    def tick(self) -> None:
        """Draw anew: times go on."""
        columns, rows = self._size()
        self._draw(self._block(columns, rows), columns)

    def close(self) -> None:
        """Draw all of it, and how failed steps came to fail."""
        columns, _ = self._size()
        lines = [self._head(columns)]
        for step in self.model.steps:
            lines += self._step(step, columns, parts=True)
        self._draw(lines, columns)
        self._write(_SHOW + "".join(harmless(line) + "\n" for line in failures(self.model, KEPT_LINES).splitlines()))

    def _draw(self, lines: list[tuple[str, str]], columns: int) -> None:
        # A window that became narrower has broken the lines drawn before.
        up = sum(max(1, -(-drawn // columns)) for drawn in self._widths)
        head = f"\x1b[{up}A\r" if up else ""
        body = "".join(f"{painted(text, code)}\x1b[K\n" for text, code in lines)
        self._write(f"{_HIDE}{head}{body}\x1b[J")
        self._widths = [width(text) for text, _ in lines]
        self._drawn_at = self._clock()

    def _head(self, columns: int) -> tuple[str, str]:
        model = self.model
        finished = ""
        if model.total and model.completed == model.total:
            finished = " FAILED" if model.failed else " FINISHED"
        elapsed = self._clock() - self._begun
        return clipped(f"[+] Building {elapsed:.1f}s ({model.completed}/{model.total}){finished}", columns - 1), ""

    def _block(self, columns: int, rows: int) -> list[tuple[str, str]]:
        room = max(1, rows - 2)  # the head, and the line the cursor is on
        steps = self.model.steps
        running = [step for step in steps if not step.completed]
        shown = self._fitting(steps, running, room)
        lines = [self._head(columns)]
        if folded := len(steps) - len(shown):
            done = sum(step.completed for step in steps) - sum(step.completed for step in shown)
            lines.append((clipped(f" … {folded} more, {done} done", columns - 1), self._colors.faint))
        left = room - len(shown) - bool(folded)
        tails = self._tails([step for step in shown if not step.completed], left)
        for step in shown:
            lines += self._step(step, columns, parts=False)
            for text in tails.get(id(step), ()):
                lines.append((clipped(f" => => # {text}", columns - 1), self._colors.faint))
        return lines

    def _fitting(self, steps: list[Step], running: list[Step], room: int) -> list[Step]:
        """The steps to show, in their order: failed ones, those that run, then the latest of the others."""
        if len(steps) <= room:
            return steps
        failed = [step for step in steps if step.failed]
        rest = [step for step in reversed(steps) if step.completed and not step.failed]
        kept = set(map(id, [*failed, *reversed(running), *rest][: max(1, room - 1)]))
        return [step for step in steps if id(step) in kept]

    def _tails(self, running: list[Step], room: int) -> dict[int, list[str]]:
        """What stands below each step that runs, as far as there is room: its parts, and the last lines of its output."""
        wanted: dict[int, list[str]] = {}
        for step in running:
            moving = [_part(one) for one in step.statuses.values() if one.completed_ns is None]
            texts = [harmless(line.text) for line in step.lines[-self._log_lines :]]
            told = [text for text in [*moving, *texts] if text.strip()]
            wanted[id(step)] = told[-self._log_lines :]
        shares = dict.fromkeys(wanted, 0)
        while room > 0 and (hungry := [key for key in wanted if shares[key] < len(wanted[key])]):
            for key in reversed(hungry[-room:]):  # a line each, the latest steps first
                shares[key] += 1
            room -= len(hungry)
        return {key: lines[-shares[key] :] if shares[key] else [] for key, lines in wanted.items()}

    def _step(self, step: Step, columns: int, *, parts: bool) -> list[tuple[str, str]]:
        elapsed = step.running_ns(self._now_ns() - (self._skew_ns or 0)) / 1e9
        mark, code = self._mark(step)
        name = harmless(step.vertex.name)
        timer = f"{elapsed if elapsed >= 0.05 else 0.0:.1f}s"
        lines = [(aligned(f" => {mark}{name}", timer, columns - 1), code)]
        if parts:
            for status in list(step.statuses.values())[-_PARTS:]:
                lines.append((clipped(f" => => {_part(status)}", columns - 1), code))
            for warning in step.warnings:
                lines.append((clipped(f" WARN: {harmless(warning.short)}", columns - 1), self._colors.warning))
        return lines

    def _mark(self, step: Step) -> tuple[str, str]:
        if step.vertex.cancelled:
            return "CANCELED ", self._colors.cancel
        if step.failed:
            return "ERROR ", self._colors.error
        if not step.completed:
            return "", ""
        return ("CACHED " if step.vertex.cached else ""), self._colors.run


def _part(status: Status) -> str:
    return harmless(f"{status.id} {amount(status.current, status.total)}").rstrip()
