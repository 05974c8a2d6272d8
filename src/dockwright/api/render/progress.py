"""What a pull or push tells, as Docker's stream carries it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from dockwright.image.progress import Progress

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_BAR_WIDTH = 50


async def messages(progress: AsyncGenerator[Progress, None]) -> AsyncGenerator[dict[str, object], None]:
    """`progress` as messages of the stream; closing it closes `progress`."""
    async with aclosing(progress):
        async for step in progress:
            yield message(step)


def message(step: Progress) -> dict[str, object]:
    """One message. What is counted has `progressDetail`, and `progress` as text for clients that draw nothing themselves."""
    found: dict[str, object] = {}
    if step.status:
        found["status"] = step.status
    if step.current is not None:
        found["progressDetail"] = {"current": step.current, **({"total": step.total} if step.total else {})}
        found["progress"] = bar(step.current, step.total or 0)
    elif step.aux is not None or (step.id and not step.status.startswith("Pulling from")):
        found["progressDetail"] = {}
    if step.id:
        found["id"] = step.id
    if step.aux is not None:
        found["aux"] = step.aux
    return found


def bar(current: int, total: int) -> str:
    """`[=====>      ]  1.2MB/3.4MB`, to the letter as dockerd puts it."""
    if total <= 0 or current > total:
        return f"{_size(current):>8}"
    done = current * _BAR_WIDTH // total
    return f"[{'=' * done}>{' ' * (_BAR_WIDTH - done)}] {_size(current):>8}/{_size(total)}"


def _size(size_bytes: float) -> str:
    at = 0
    while size_bytes >= 1000 and at < len(_UNITS) - 1:
        size_bytes /= 1000
        at += 1
    return f"{size_bytes:.4g}{_UNITS[at]}"
