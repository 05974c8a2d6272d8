"""Where something stands, as BuildKit's `pb.Location` has it in JSON; and the columns of its texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dockwright.build.dockerfile.lines import Line

Location = dict[str, Any]


def of_line(line: Line) -> Location:
    """All lines of an instruction, one range each."""
    return of_lines(range(line.start, line.end + 1))


def of_lines(numbers: Sequence[int]) -> Location:
    """One range a line."""
    return {"ranges": [{"start": {"line": number}, "end": {"line": number}} for number in numbers]}


def described(line: Line, name: str) -> str:
    """What the comments right above `line` say about `name`: the rest of one that begins with it."""
    found = (comment.removeprefix(f"{name} ") for comment in line.comments if comment.startswith(f"{name} "))
    return next(found, "") if name else ""


def columns(rows: Sequence[Sequence[str]], gap: int) -> str:
    """Rows with their cells below each other, `gap` blanks apart."""
    widths = [max(map(len, column)) + gap for column in list(zip(*rows, strict=True))[:-1]]
    lines = ("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) + row[-1] for row in rows)
    return "".join(f"{line}\n" for line in lines)
