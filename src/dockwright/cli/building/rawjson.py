"""`--progress rawjson`: each update as one line of JSON, in BuildKit's spelling, for programs to read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dockwright.cli.building.events import Log, SourceInfo, Status, Update, Vertex, Warning


class RawJson:
    """A face. `write` takes whole lines."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def take(self, update: Update) -> None:
        self._write(json.dumps(as_json(update), separators=(",", ":"), ensure_ascii=False) + "\n")

    def tick(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is kept."""


def as_json(update: Update) -> dict[str, Any]:
    """The update as BuildKit's client spells it; what is empty is left out."""
    return _given(
        vertexes=[_vertex(one) for one in update.vertexes],
        statuses=[_status(one) for one in update.statuses],
        logs=[_log(one) for one in update.logs],
        warnings=[warning(one) for one in update.warnings],
    )


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _vertex(one: Vertex) -> dict[str, Any]:
    return _given(
        digest=one.digest,
        inputs=list(one.inputs),
        name=one.name,
        started=_time(one.started_ns),
        completed=_time(one.completed_ns),
        cached=one.cached,
        error=one.error,
    )


def _status(one: Status) -> dict[str, Any]:
    found = {"id": one.id} | _given(vertex=one.vertex, name=one.name, total=one.total)
    found |= {"current": one.current, "timestamp": _time(one.timestamp_ns or 0)}
    return found | _given(started=_time(one.started_ns), completed=_time(one.completed_ns))


def _log(one: Log) -> dict[str, Any]:
    found = _given(vertex=one.vertex, stream=one.stream)
    return found | {"data": _bytes(one.data), "timestamp": _time(one.timestamp_ns or 0)}


def warning(one: Warning) -> dict[str, Any]:
    """One warning, as `--metadata-file` has it too."""
    return _given(
        vertex=one.vertex,
        level=one.level,
        short=_bytes(one.short.encode()),
        detail=[_bytes(text.encode()) for text in one.detail],
        url=one.url,
        sourceInfo=_source(one.source) if one.source else None,
        range=[{"start": {"line": line}, "end": {"line": line}} for line in one.lines],
    )


def _source(one: SourceInfo) -> dict[str, Any]:
    return _given(filename=one.filename, data=_bytes(one.data), language=one.language)


def _bytes(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(moment_ns: int | None) -> str | None:
    """RFC 3339 with as many decimals as it takes."""
    if moment_ns is None:
        return None
    whole, rest = divmod(moment_ns, 10**9)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"
