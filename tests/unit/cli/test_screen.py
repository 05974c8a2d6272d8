"""Progress in a terminal, seen through a small terminal: what stands on the screen after everything was written."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import termios
import time
from collections.abc import Iterator

import pytest

from dockwright.cli.display import progress, screen
from dockwright.cli.display.screen import INTERVAL_S, Row, Screen, clock
from dockwright.cli.session import Session
from dockwright.errors import HostFailure


class Terminal:
    """As much of ECMA-48 as the screen uses: lines, cursor up, clear to the end of the line and of the screen."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines = [""]
        self.row = self.column = 0
        self.drawings = 0
        self.leader, self.follower = pty.openpty()
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def write(self, data: bytes) -> None:
        self.drawings += 1
        for part in re.findall(r"\x1b\[\d*[A-Z]|[^\x1b]", data.decode()):
            if part[0] != "\x1b":
                self._put(part)
            elif part[-1] == "A":
                up = int(part[2:-1])
                assert up <= self.row, "it went above what it had drawn"
                assert up < self.height, "it went above the screen"
                self.row -= up
            elif part[-1] == "K":
                self.lines[self.row] = self.lines[self.row][: self.column]
            else:
                assert part[-1] == "J"
                self.lines[self.row] = self.lines[self.row][: self.column]
                del self.lines[self.row + 1 :]

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            assert self.column < self.width, "a line that is too long would be broken"
            line = self.lines[self.row]
            self.lines[self.row] = line[: self.column].ljust(self.column) + letter + line[self.column + 1 :]
            self.column += 1

    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.lines if line.strip()]

    def close(self) -> None:
        os.close(self.leader)
        os.close(self.follower)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal(80, 24)
    yield found
    found.close()


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(screen, "monotonic", lambda: self.now)


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def counted(name: str, status: str, current: int, total: int) -> dict[str, object]:
    return {"id": name, "status": status, "progressDetail": {"current": current, "total": total}}


def test_each_layer_has_one_line_that_is_rewritten(terminal: Terminal, moments: Clock) -> None:
    with Screen(terminal.write, terminal.follower) as shown:
        for status in ("Pulling fs layer", "Downloading", "Pull complete"):
            for name in ("aaaa", "bbbb"):
                shown.update({"id": name, "status": status, "progressDetail": {}})
            moments.now += 1
        shown.line("Digest: sha256:1")
    assert terminal.shown() == ["aaaa: Pull complete", "bbbb: Pull complete", "Digest: sha256:1"]


def test_the_screen_is_drawn_ten_times_a_second_at_most(terminal: Terminal, moments: Clock) -> None:
    with Screen(terminal.write, terminal.follower) as shown:
        for step in range(1000):
            shown.update(counted("aaaa", "Downloading", step * 1000, 1_000_000))
            moments.now += 0.001
        drawn = terminal.drawings
    assert drawn <= 1.0 / INTERVAL_S + 1
    assert "999kB/1MB" in terminal.shown()[0]  # the last state is there all the same


def test_what_came_too_soon_is_drawn_when_nothing_more_comes(terminal: Terminal) -> None:
    with Screen(terminal.write, terminal.follower) as shown:
        shown.update({"id": "aaaa", "status": "Downloading"})
        shown.update({"id": "aaaa", "status": "Extracting"})
        while terminal.shown() != ["aaaa: Extracting"]:
            time.sleep(0.005)  # as a client that waits for the engine


def test_a_row_tells_bytes_rate_and_what_is_left(moments: Clock) -> None:
    row = Row("aaaa")
    for second in range(6):
        row.update(counted("aaaa", "Downloading", second * 2_000_000, 100_000_000), float(second))
    text = row.text(100, 5.0)
    assert text.startswith("aaaa: Downloading [===")
    assert "10MB/100MB" in text
    assert "2MB/s" in text
    assert text.endswith(" 45s")
    assert len(row.text(40, 5.0)) <= 40
    assert "[" not in row.text(60, 5.0)


def test_a_row_without_a_total_tells_what_it_has() -> None:
    row = Row("aaaa")
    row.update(counted("aaaa", "Extracting", 5_000_000, 0), 1.0)
    assert row.text(80, 1.0) == "aaaa: Extracting             5MB"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0s"), (59.4, "59s"), (187, "3m07s"), (7500, "2h05m"), (10**9, ">99h")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_more_layers_than_lines_are_counted_and_those_that_move_are_shown(terminal: Terminal, moments: Clock) -> None:
    terminal.resize(80, 10)
    with Screen(terminal.write, terminal.follower) as shown:
        for number in range(40):
            shown.update({"id": f"layer{number:02}", "status": "Pulling fs layer"})
        for number in range(35):
            moments.now += 1
            shown.update({"id": f"layer{number:02}", "status": "Pull complete"})
        shown.line("Status: done")
    lines = terminal.shown()
    assert len(lines) <= 10
    assert lines[0] == "… 32 more, 35 done"
    assert [line for line in lines if "Pulling" in line] == [
        f"layer{number}: Pulling fs layer" for number in range(35, 40)
    ]
    assert lines[-1] == "Status: done"


def test_a_terminal_that_is_resized_is_redrawn_as_wide_as_it_is(terminal: Terminal, moments: Clock) -> None:
    with Screen(terminal.write, terminal.follower) as shown:
        shown.update(counted("aaaa", "Downloading", 1_000_000, 2_000_000))
        wide = len(terminal.shown()[0])
        terminal.resize(200, 24)
        os.kill(os.getpid(), signal.SIGWINCH)
        assert len(terminal.shown()[0]) >= wide
        assert terminal.drawings == 2


def test_a_narrower_terminal_has_broken_the_old_lines_and_they_are_gone(terminal: Terminal, moments: Clock) -> None:
    with Screen(terminal.write, terminal.follower) as shown:
        shown.update({"id": "aaaa", "status": "x" * 60})
        # What the terminal does with a line of 66 letters in 40 columns.
        line = terminal.lines[0]
        terminal.lines[0:1] = [line[:40], line[40:]]
        terminal.row += 1
        terminal.resize(40, 24)
        moments.now += 1
        shown.update({"id": "aaaa", "status": "Pull complete"})
    assert terminal.shown() == ["aaaa: Pull complete"]


def test_the_signals_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGWINCH)]
    with Screen(lambda data: None, 1):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGWINCH)] == before


STREAM = [
    {"status": "Pulling from x", "id": "1"},
    {"status": "Downloading", "id": "aaaa", "progressDetail": {"current": 1, "total": 2}, "progress": "[>]"},
    {"status": "Pull complete", "id": "aaaa", "progressDetail": {}},
    {"progressDetail": {}, "aux": {"Tag": "1"}},
    {"status": "Digest: sha256:1"},
]


def test_without_a_terminal_each_event_is_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert progress.show(Session(), STREAM) == [{"Tag": "1"}]
    assert capfd.readouterr().out == "1: Pulling from x\naaaa: Pull complete\nDigest: sha256:1\n"
    assert progress.show(Session(), STREAM, quiet=True) == [{"Tag": "1"}]
    assert capfd.readouterr() == ("", "")
    progress.show(Session(), STREAM, to_stderr=True)
    assert capfd.readouterr().err.startswith("1: Pulling")


def test_an_error_of_the_stream_is_raised_after_what_came_before(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HostFailure, match="it broke"):
        progress.show(Session(), [*STREAM, {"errorDetail": {"message": "it broke"}, "error": "old"}])
    assert "Digest" in capfd.readouterr().out
