"""Signals as bytes on a pipe, so that one poll loop sees them beside the streams."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, Self
else:
    import _signal  # `signal` turns its constants into enums first: 3 ms

WINCH = int(_signal.SIGWINCH)
TERMINATING = tuple(int(number) for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM))
_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")
_OURS = ("SIGKILL", "SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGURG", "SIGWINCH", "SIGTTIN", "SIGTTOU", "SIGPROF", "SIGVTALRM")


def name(number: int) -> str:
    """`TERM` for 15; a number without a name stays one."""
    for key, value in vars(_signal).items():
        if (
            value == number
            and key.startswith("SIG")
            and not key.startswith("SIG_")
            and key not in ("SIGRTMIN", "SIGCLD")
        ):
            return key.removeprefix("SIG")
    return str(int(number))


def forwarded() -> tuple[int, ...]:
    """What `--sig-proxy` hands on: everything but the signals that are about this process itself."""
    kept = {int(getattr(_signal, key)) for key in (*_FAULTS, *_OURS) if hasattr(_signal, key)}
    return tuple(number for number in range(1, 32) if number not in kept)


def _noted(number: int, frame: object) -> None:
    """The interpreter has written the number into the pipe already."""


class Watch:
    """While open, the given signals do nothing but turn up in `arrived`; `fileno` is readable when there are some."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(dict.fromkeys(numbers))
        self._before: dict[int, Any] = {}
        self._read = self._write = -1
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = _signal.set_wakeup_fd(self._write)
        for number in self._numbers:
            self._before[number] = _signal.signal(number, _noted)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            _signal.signal(number, _signal.SIG_DFL if handler is None else handler)
        _signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def arrived(self) -> list[int]:
        try:
            return [number for number in os.read(self._read, 256) if number in self._before]
        except BlockingIOError:
            return []
