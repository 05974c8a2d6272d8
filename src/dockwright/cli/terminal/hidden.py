"""Typing that does not show: for passwords."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self


class HiddenInput:
    """A context manager that keeps a terminal from showing what is typed; on every way out it shows it again."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        import termios

        if os.isatty(self._descriptor):
            self._before = termios.tcgetattr(self._descriptor)
            silent = [*self._before]
            silent[3] &= ~termios.ECHO
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, silent)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is None:
            return
        import termios

        termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._before)
