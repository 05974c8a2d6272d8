"""Progress in a terminal: a block of lines, one a layer, redrawn in place at most ten times a second.

ECMA-48 cursor movements. The block is drawn as wide as the terminal is at that moment, and never higher: layers that are done
give way to those that move.
"""

from __future__ import annotations

import os
import signal
from time import monotonic

from dockwright import errors
from dockwright.cli.display import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, Self

INTERVAL_S = 0.1
_BAR_WIDTH = 30
# A rate over less time than this says nothing.
_RATE_AFTER_S = 0.5
# How far back a rate looks.
_RATE_OVER_S = 5.0


class Screen:
    """The block. A context manager: the signals for its clock and for a resized terminal are its own while it is open."""

    def __init__(self, write: Callable[[bytes], None], descriptor: int) -> None:
        self._write = write
        self._descriptor = descriptor
        self._rows: dict[str, Row] = {}
        self._widths_drawn: list[int] = []
        self._drawn_at = 0.0
        self._stale = False
        self._clock_set = False
        self._drawing = False
        self._again = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGALRM, signal.SIGWINCH):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._stale and (error is None or isinstance(error, errors.DockwrightError)):
            self._draw()

    def update(self, value: dict[str, Any]) -> None:
        """Take a message about one layer; it is on the screen within `INTERVAL_S`."""
        row = self._rows.setdefault(value["id"], Row(value["id"]))
        row.update(value, monotonic())
        self._stale = True
        left = self._drawn_at + INTERVAL_S - monotonic()
        if left <= 0:
            self._draw()
        elif not self._clock_set:  # whether or not another message comes by then
            self._clock_set = True
            signal.setitimer(signal.ITIMER_REAL, left)

    def line(self, text: str) -> None:
        """A line that stays, below the layers known by now: what is told of layers later makes a block of its own."""
        if self._stale:
            self._draw()
        self._rows.clear()
        self._widths_drawn = []
        self._write(f"{text}\n".encode("utf-8", "surrogateescape"))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            self._clock_set = False
        if self._drawing:
            self._again = True
        elif self._rows:
            self._draw()

    def _draw(self) -> None:
        self._drawing = self._again = True
        try:
            while self._again:
                self._again = False
                self._paint()
        finally:
            self._drawing = False

    def _paint(self) -> None:
        self._stale = False
        width, height = self._size()
        lines = self._lines(width, height)
        # A terminal that became narrower has broken the lines drawn before.
        up = sum(max(1, -(-drawn // width)) for drawn in self._widths_drawn)
        head = f"\x1b[{up}A\r" if up else ""
        body = "".join(f"{line}\x1b[K\n" for line in lines)
        self._write(f"{head}{body}\x1b[J".encode("utf-8", "surrogateescape"))
        self._widths_drawn = [len(line) for line in lines]
        self._drawn_at = monotonic()

    def _lines(self, width: int, height: int) -> list[str]:
        rows = list(self._rows.values())
        hidden = 0
        if len(rows) > height - 1:
            moving = [row for row in rows if not row.done]
            shown = set(map(id, (moving + [row for row in reversed(rows) if row.done])[: max(1, height - 2)]))
            hidden = len(rows) - len(shown)
            rows = [row for row in rows if id(row) in shown]
        lines = [row.text(width - 1, monotonic()) for row in rows]
        if hidden:
            lines.insert(0, f"… {hidden} more, {sum(row.done for row in self._rows.values())} done"[: width - 1])
        return lines

    def _size(self) -> tuple[int, int]:
        try:
            width, height = os.get_terminal_size(self._descriptor)
        except OSError:
            return 80, 24
        return width or 80, height or 24


class Row:
    """What is known about one layer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._status = ""
        self._current = self._total = 0
        self._seen: list[tuple[float, int]] = []

    @property
    def done(self) -> bool:
        """Nothing more is expected to happen to it."""
        return not self._current and self._status.startswith(_ENDS)

    def update(self, value: dict[str, Any], now: float) -> None:
        """Take a message that came at `now` (seconds)."""
        detail = value.get("progressDetail") or {}
        status = value.get("status", "")
        self._current, self._total = detail.get("current", 0), detail.get("total", 0)
        if status != self._status or (self._seen and self._current < self._seen[-1][1]):
            self._seen.clear()
        self._status = status
        if self._current:
            self._seen.append((now, self._current))
            while now - self._seen[0][0] > _RATE_OVER_S and len(self._seen) > 2:
                self._seen.pop(0)

    def text(self, width: int, now: float) -> str:
        """The row in at most `width` characters; the bar goes first where there is no room."""
        left = f"{self.name}: {self._status}"
        if not self._current:
            return units.ellipsis(left, width)
        counts = units.size(self._current, 3) + (f"/{units.size(self._total, 3)}" if self._total > 0 else "")
        right = f" {counts:>15}{self._speed(now)}"
        room = width - len(left) - len(right) - 3
        if self._total <= 0 or room < 10:
            return units.ellipsis(left + right, width)
        inner = min(room, _BAR_WIDTH)
        done = min(self._current, self._total) * inner // self._total
        arrow = "=" * done + (">" if done < inner else "")
        return f"{left} [{arrow:<{inner}}]{right}"

    def _speed(self, now: float) -> str:
        """Bytes a second lately, and how long the rest takes at that rate."""
        if len(self._seen) < 2 or self._seen[-1][0] - self._seen[0][0] < _RATE_AFTER_S:
            return ""
        (begun, first), (last, count) = self._seen[0], self._seen[-1]
        rate = (count - first) / max(now - begun, last - begun)
        if rate <= 0 or self._total <= 0 or count >= self._total:
            return ""
        return f" {units.size(rate, 3):>7}/s {clock((self._total - count) / rate):>6}"


_ENDS = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Mounted from")


def clock(seconds: float) -> str:
    """`7s`, `3m07s`, `2h05m`: how long something takes."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m" if whole < 360_000 else ">99h"
