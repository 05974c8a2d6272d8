"""Which face a build's progress has: a terminal's, lines of text, JSON, or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from dockwright import errors
from dockwright.cli.building.colors import Colors, painted
from dockwright.cli.building.events import Update, Warning
from dockwright.cli.building.plain import Plain
from dockwright.cli.building.rawjson import RawJson
from dockwright.cli.building.terminal import LOG_LINES, Terminal
from dockwright.excerpts import excerpt

MODES = ("auto", "none", "plain", "quiet", "rawjson", "tty")


class Face(Protocol):
    """Shows a build. `take` what is new, `tick` ten times a second, `close` once at the end."""

    def take(self, update: Update) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


class Quiet:
    """Shows nothing."""

    def take(self, update: Update) -> None:
        """Say nothing."""

    def tick(self) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


def mode(wanted: str, environment: Mapping[str, str], *, quiet: bool) -> str:
    """The mode that the option, `-q` and BUILDKIT_PROGRESS come to. Raises `errors.Invalid`."""
    chosen = wanted or environment.get("BUILDKIT_PROGRESS", "") or "auto"
    if chosen not in MODES:
        raise errors.Invalid(f"invalid progress mode {chosen}: one of {', '.join(MODES)}")
    if quiet and wanted not in ("", "auto", "quiet", "none"):
        raise errors.Invalid(f"progress={wanted} and quiet cannot be used together")
    return "quiet" if quiet or chosen == "quiet" else chosen


def face(chosen: str, descriptor: int, write: Callable[[bytes], None], environment: Mapping[str, str]) -> Face:
    """The face for `chosen` (one of `MODES`), writing to `descriptor`. Raises `errors.Invalid`: tty without a terminal."""

    def text(one: str) -> None:
        write(one.encode("utf-8", "surrogateescape"))

    if chosen in ("quiet", "none"):
        return Quiet()
    if chosen == "rawjson":
        return RawJson(text)
    if chosen == "tty" and not os.isatty(descriptor):
        raise errors.Invalid("failed to get console: the output is no terminal")
    dumb = environment.get("TERM") == "dumb" and chosen != "tty"
    if chosen == "plain" or dumb or not os.isatty(descriptor):
        return Plain(text)
    colors, complaints = Colors.of(environment)
    for complaint in complaints:
        text(f"WARNING: {complaint}\n")
    return Terminal(text, lambda: _size(descriptor), colors, log_lines=_log_lines(environment))


def warnings_text(warnings: list[Warning], colors: Colors, *, expand: bool) -> str:
    """What a build warned of, for the end of its progress; `expand` tells why, and shows the lines."""
    if not warnings:
        return ""
    count = "1 warning found" if len(warnings) == 1 else f"{len(warnings)} warnings found"
    head = f"{count}:" if expand else f"{count} (use --debug to expand):"
    told = f"\n {painted(head, colors.warning)}\n"
    for one in warnings:
        told += f" - {one.short}\n"
        if expand:
            told += "".join(f"{line}\n" for line in one.detail)
            told += f"More info: {one.url}\n" if one.url else ""
            if one.source is not None:
                told += excerpt(one.source.filename, one.source.data.decode(errors="replace"), one.lines)
            told += "\n"
    return told


def _size(descriptor: int) -> tuple[int, int]:
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return 80, 24
    return columns or 80, rows or 24


def _log_lines(environment: Mapping[str, str]) -> int:
    text = environment.get("BUILDKIT_TTY_LOG_LINES", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else LOG_LINES
