"""A command on a pseudo-terminal, typed at and read like a person would."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType

LIMIT_S = 30.0


class PtySession:
    """`argv` on a terminal of its own; `said` is everything it has written."""

    def __init__(self, argv: Sequence[str], environment: dict[str, str], size: tuple[int, int] = (24, 80)) -> None:
        self.said = b""
        self._master, slave = pty.openpty()
        self._set_size(size)
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True, preexec_fn=_control
        )
        os.close(slave)

    def type(self, text: bytes) -> None:
        os.write(self._master, text)

    def resize(self, rows: int, columns: int) -> None:
        self._set_size((rows, columns))
        self.process.send_signal(signal.SIGWINCH)

    def expect(self, text: bytes) -> bytes:
        """Read until `text` came; what came up to and with it, and forget that."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.said:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} never came: {self.said!r}")
        head, _, self.said = self.said.partition(text)
        return head + text

    def end(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + LIMIT_S
        while self._read(deadline):
            pass
        return self.process.wait(LIMIT_S)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"nothing came for {LIMIT_S} s: {self.said!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end has gone
            return False
        self.said += data
        return bool(data)

    def _set_size(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def __enter__(self) -> PtySession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


def _control() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
