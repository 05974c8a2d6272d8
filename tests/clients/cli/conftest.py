"""Our command line as a process, with pipes or a terminal, against a real engine."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "dockwright.cli"]
LIMIT_S = 30.0


@pytest.fixture
def engine_socket(request: pytest.FixtureRequest) -> str:
    """The engine of this run, or the one `DOCKWRIGHT_TEST_SOCKET` names (any that has `busybox:latest`)."""
    named = os.environ.get("DOCKWRIGHT_TEST_SOCKET")
    return named or str(request.getfixturevalue("daemon").socket)


@pytest.fixture
def environment(engine_socket: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DOCKER_HOST": f"unix://{engine_socket}",
        "DOCKER_CONFIG": str(tmp_path / "config"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TERM": "xterm",
    }


Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def cli(environment: dict[str, str]) -> Run:
    """Run one command line to its end."""

    def run(*words: str, input: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        found = subprocess.run([*PROGRAM, *words], input=input, capture_output=True, env=environment, timeout=60)
        assert not check or found.returncode == 0, found.stderr.decode()
        return found

    return run


@pytest.fixture
def name(request: pytest.FixtureRequest, cli: Run) -> Iterator[str]:
    """A name for this test's container, which is removed afterwards."""
    chosen = "cli-" + request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")[:80]
    yield chosen
    cli("rm", "-f", "-v", chosen)


class Terminal:
    """Our program in a terminal of its own."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM[0], [*PROGRAM, *words], environment)
        self.seen = b""
        self.status: int | None = None
        self.settings = termios.tcgetattr(self.descriptor)

    def type(self, data: bytes) -> None:
        os.write(self.descriptor, data)

    def wait_for(self, text: bytes) -> bytes:
        """Read until `text` has been printed; returns what came before its end and forgets it."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.seen:
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{text!r} did not come: {self.seen!r}")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:
            return False
        self.seen += data
        return bool(data)

    def resize(self, height: int, width: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.descriptor)[3] & termios.ICANON

    def wait_raw(self) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not self.is_raw():
            assert time.monotonic() < deadline, "the terminal did not become raw"
            time.sleep(0.01)

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self) -> int:
        """Wait for the program's end; its exit status."""
        deadline = time.monotonic() + LIMIT_S
        while self.status is None and time.monotonic() < deadline:
            self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        assert self.status is not None, f"it did not end: {self.seen!r}"
        while self._read(0.05):
            pass
        return self.status

    def restored(self) -> bool:
        """Whether the terminal is as it was before the program ran."""
        return termios.tcgetattr(self.descriptor) == self.settings

    def close(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.descriptor)


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start a command line in a terminal."""
    opened: list[Terminal] = []

    def start(*words: str) -> Terminal:
        opened.append(Terminal(list(words), environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
