"""Text in columns, spaced as Go's text/tabwriter does with Docker's settings (cells of 10 at least, 3 blanks between)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MIN_WIDTH = 10
_PADDING = 3


def align(text: str, *, min_width: int = _MIN_WIDTH, padding: int = _PADDING) -> str:
    """`text` with its tab-separated cells in columns. The last cell of a line belongs to no column."""
    if "\t" not in text:
        return text
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[0] * (len(cells) - 1) for cells in lines]
    deepest = max(len(cells) for cells in lines)
    for column in range(deepest - 1):
        _measure(lines, widths, column, min_width, padding)
    return "\n".join(_spaced(cells, width) for cells, width in zip(lines, widths, strict=True))


def _measure(lines: Sequence[list[str]], widths: list[list[int]], column: int, min_width: int, padding: int) -> None:
    """A column is a run of lines that all have a cell there; each run has a width of its own."""
    start = 0
    while start < len(lines):
        end = start
        while end < len(lines) and len(lines[end]) - 1 > column:
            end += 1
        if end > start:
            width = max(min_width, *(len(lines[at][column]) + padding for at in range(start, end)))
            for at in range(start, end):
                widths[at][column] = width
        start = max(end, start + 1)


def _spaced(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "".join(padded) + cells[-1]
