"""The progress of a pull, load or import: a line an event in a file, lines that move in a terminal."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.session import STDERR, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from dockwright.cli.session import Session

_BAR_WIDTH = 50


def show(session: Session, values: Iterable[Any], *, quiet: bool = False, to_stderr: bool = False) -> list[Any]:
    """Print `values` as they arrive; returns those that carry a result (`aux`). Raises `errors.HostFailure` for an error."""
    descriptor = STDERR if to_stderr else STDOUT
    screen = _Screen(session, descriptor) if os.isatty(descriptor) else None
    results = []
    for value in values:
        problem = (value.get("errorDetail") or {}).get("message") or value.get("error")
        if problem:
            raise errors.HostFailure(problem)
        if "aux" in value:
            results.append(value["aux"])
        elif quiet:
            continue
        elif screen is not None:
            screen.update(value)
        elif "progressDetail" not in value or not value.get("progressDetail"):
            session.write(descriptor, _line(value).encode("utf-8", "surrogateescape"))
    return results


def _line(value: dict[str, Any]) -> str:
    if "stream" in value:
        return str(value["stream"])
    name = f"{value['id']}: " if value.get("id") else ""
    return f"{name}{value.get('status', '')}\n"


class _Screen:
    """One line for each id, rewritten in place (ECMA-48 cursor movements)."""

    def __init__(self, session: Session, descriptor: int) -> None:
        self._session = session
        self._descriptor = descriptor
        self._lines: dict[str, int] = {}
        self._count = 0

    def update(self, value: dict[str, Any]) -> None:
        identity = value.get("id")
        if not identity or "stream" in value:
            self._count += 1
            self._print(_line(value))
            return
        text = f"{identity}: {value.get('status', '')} {_bar(value.get('progressDetail') or {})}".rstrip()
        if identity not in self._lines:
            self._lines[identity] = self._count
            self._count += 1
            self._print(text + "\n")
            return
        up = self._count - self._lines[identity]
        self._print(f"\x1b[{up}A\x1b[2K\r{text}\x1b[{up}B\r")

    def _print(self, text: str) -> None:
        self._session.write(self._descriptor, text.encode("utf-8", "surrogateescape"))


def _bar(detail: dict[str, Any]) -> str:
    from dockwright.cli.display import units

    current, total = detail.get("current", 0), detail.get("total", 0)
    if total <= 0:
        return f"{units.size(current)}" if current else ""
    done = min(current, total) * _BAR_WIDTH // total
    arrow = "=" * done + (">" if done < _BAR_WIDTH else "")
    return f"[{arrow:<{_BAR_WIDTH}}] {units.size(current):>8}/{units.size(total)}"
