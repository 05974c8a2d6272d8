"""Text for a terminal: what programs wrote made harmless, and cut to a width."""

from __future__ import annotations

import re
from unicodedata import combining, east_asian_width

# ECMA-48 sequences (CSI, OSC, two-character ones) and control characters.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """`text` as a terminal would show it in the end, without moving its cursor: one line, no escapes."""
    shown = text.rstrip("\r").rsplit("\r", 1)[-1]
    return _CONTROLS.sub("", _ESCAPES.sub("", shown)).expandtabs(8).replace("\n", " ")


def width(text: str) -> int:
    """How many cells of a terminal `text` takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def clipped(text: str, cells: int) -> str:
    """`text` in at most `cells` cells; an ellipsis stands for what is missing."""
    if width(text) <= cells:
        return text
    kept, used = "", 0
    for character in text:
        used += _cells(character)
        if used > cells - 1:
            break
        kept += character
    return f"{kept}…" if cells > 0 else ""


def aligned(left: str, right: str, cells: int) -> str:
    """`left` and `right` at the two ends of `cells` cells; `left` is cut where there is no room."""
    room = cells - width(right) - 1
    left = clipped(left, max(0, room))
    return f"{left}{' ' * (room - width(left) + 1)}{right}"


def size(size_bytes: int) -> str:
    """`2.81MB`: powers of 1000, two decimals from a kilobyte on."""
    if size_bytes < 1000:
        return f"{size_bytes}B"
    value, units = size_bytes / 1000, iter(("kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while value >= 1000 and unit != "PB":
        value, unit = value / 1000, next(units)
    return f"{value:.2f}{unit}"


def amount(current: int, total: int) -> str:
    """How much of how much; empty where nothing is known."""
    if total:
        return f"{size(current)} / {size(total)}"
    return size(current) if current else ""


def seconds(elapsed_ns: int) -> str:
    """`0.312`, `12.34`, `120.5`: what stands before a line of output."""
    value = elapsed_ns / 1e9
    return f"{value:.{3 if value < 10 else 2 if value < 100 else 1}f}"
