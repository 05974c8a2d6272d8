"""What a build tells of itself: steps (vertexes), parts of them (statuses), output and warnings. BuildKit's `SolveStatus`.

Times are nanoseconds since 1970; None where something has not happened yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, frozen=True)
class Vertex:
    """A step: told again whenever something about it changes."""

    digest: str
    name: str
    inputs: tuple[str, ...] = ()
    started_ns: int | None = None
    completed_ns: int | None = None
    cached: bool = False
    error: str = ""

    @property
    def cancelled(self) -> bool:
        """It ended because others did, or because nobody wants it any more."""
        return self.error.endswith(("context canceled", "canceled"))


@dataclass(slots=True, frozen=True)
class Status:
    """A part of a step: a blob on its way, say. `current` and `total` are bytes; `total` is 0 where nobody knows."""

    id: str
    vertex: str
    name: str = ""
    current: int = 0
    total: int = 0
    timestamp_ns: int = 0
    started_ns: int | None = None
    completed_ns: int | None = None


@dataclass(slots=True, frozen=True)
class Log:
    """Output of a step's command as it came; `stream` is 1 or 2."""

    vertex: str
    data: bytes
    stream: int = 1
    timestamp_ns: int = 0


@dataclass(slots=True, frozen=True)
class SourceInfo:
    """The file that a warning or an error is about."""

    filename: str
    data: bytes
    language: str = ""


@dataclass(slots=True, frozen=True)
class Warning:
    """Something that works and is likely not meant. `lines` (from 1) are those of `source`."""

    vertex: str
    short: str
    detail: tuple[str, ...] = ()
    url: str = ""
    level: int = 0
    source: SourceInfo | None = None
    lines: tuple[int, ...] = ()


@dataclass(slots=True, frozen=True)
class Update:
    """What has become known since the last one."""

    vertexes: Sequence[Vertex] = field(default=())
    statuses: Sequence[Status] = field(default=())
    logs: Sequence[Log] = field(default=())
    warnings: Sequence[Warning] = field(default=())
