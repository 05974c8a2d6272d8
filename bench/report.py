"""The table: for a terminal, for the README, for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.row import Result


def as_text(results: Sequence[Result], engines: Sequence[str], facts: Sequence[str]) -> str:
    """Aligned columns, the facts below."""
    rows = [_header(engines), *(_cells(result, engines) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(_align(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join([*(line.rstrip() for line in lines), "", *facts, *_failures(results)])


def as_markdown(results: Sequence[Result], engines: Sequence[str], facts: Sequence[str]) -> str:
    """The README's table."""
    header = _header(engines)
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *(_cells(result, engines) for result in results)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([table, "", *(f"- {fact}" for fact in [*facts, *_failures(results)])])


def as_json(results: Sequence[Result], engines: Sequence[str], facts: Sequence[str]) -> str:
    """Every sample."""
    rows = [
        {
            "name": result.row.name,
            "title": result.title,
            "unit": result.row.unit,
            "budget": result.row.budget,
            "ratio": result.ratio(engines),
            "medians": {name: result.median(name) for name in engines},
            "samples": result.samples,
            "failures": result.failures,
        }
        for result in results
    ]
    return json.dumps({"engines": list(engines), "facts": list(facts), "rows": rows}, indent=2) + "\n"


def _header(engines: Sequence[str]) -> list[str]:
    ratio = [f"{engines[0]} / {engines[-1]}", "budget", ""] if len(engines) > 1 else []
    return ["work", *engines, *ratio]


def _cells(result: Result, engines: Sequence[str]) -> list[str]:
    cells = [result.title, *(_value(result, name) for name in engines)]
    if len(engines) < 2:
        return cells
    ratio, budget, holds = result.ratio(engines), result.row.budget, result.holds(engines)
    bound = ("≥ " if result.row.higher_is_better else "≤ ") + f"{budget:.2f}x" if budget is not None else ""
    verdict = {True: "ok", False: "over", None: ""}[holds]
    return [*cells, f"{ratio:.2f}x" if ratio is not None else "", bound, verdict]


def _value(result: Result, engine: str) -> str:
    median = result.median(engine)
    if median is None:
        return "failed" if engine in result.failures else ""
    return f"{median:.0f} {result.row.unit}" if median >= 100 else f"{median:.1f} {result.row.unit}"


def _failures(results: Sequence[Result]) -> list[str]:
    return [f"{r.row.name}, {engine}: {reason}" for r in results for engine, reason in r.failures.items()]


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
