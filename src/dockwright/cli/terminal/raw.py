"""Raw mode: every key goes to the container; on every way out the terminal is as it was."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self


class RawTerminal:
    """A context manager that puts a terminal's line discipline aside. SIGTERM and SIGHUP unwind through it too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        import termios

        if not os.isatty(self._descriptor):
            return self
        self._before = termios.tcgetattr(self._descriptor)
        termios.tcsetattr(self._descriptor, termios.TCSANOW, _raw(list(self._before)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.restore()

    def restore(self) -> None:
        """Put the terminal back; twice is fine."""
        if self._before is None:
            return
        import termios

        try:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)
        except termios.error:
            pass  # the terminal has been closed: nobody is left to see it
        self._before = None


def _raw(attributes: list[Any]) -> list[Any]:
    """termios(3), cfmakeraw."""
    import termios as t

    attributes[0] &= ~(t.IGNBRK | t.BRKINT | t.PARMRK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL | t.IXON)
    attributes[1] &= ~t.OPOST
    attributes[2] = attributes[2] & ~(t.CSIZE | t.PARENB) | t.CS8
    attributes[3] &= ~(t.ECHO | t.ECHONL | t.ICANON | t.ISIG | t.IEXTEN)
    attributes[6] = [*attributes[6]]
    attributes[6][t.VMIN], attributes[6][t.VTIME] = 1, 0
    return attributes


def size() -> tuple[int, int] | None:
    """Height and width of the terminal on standard output, `None` where there is none."""
    try:
        width, height = os.get_terminal_size(1)
    except OSError:
        return None
    return (height, width) if height or width else None
