"""BuildKit's messages as our events."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from dockwright.buildkit.proto.control_pb2 import StatusResponse, VertexWarning
from dockwright.cli.building.events import Log, SourceInfo, Status, Update, Vertex, Warning


def update(message: StatusResponse) -> Update:
    """One message of a build's status."""
    return Update(
        [
            Vertex(
                one.digest,
                one.name,
                tuple(one.inputs),
                _time(one.started) if one.HasField("started") else None,
                _time(one.completed) if one.HasField("completed") else None,
                one.cached,
                one.error,
            )
            for one in message.vertexes
        ],
        [
            Status(
                one.ID,
                one.vertex,
                one.name,
                one.current,
                one.total,
                _time(one.timestamp),
                _time(one.started) if one.HasField("started") else None,
                _time(one.completed) if one.HasField("completed") else None,
            )
            for one in message.statuses
        ],
        [Log(one.vertex, one.msg, one.stream, _time(one.timestamp)) for one in message.logs],
        [_warning(one) for one in message.warnings],
    )


def _warning(one: VertexWarning) -> Warning:
    source = None
    if one.HasField("info"):
        source = SourceInfo(one.info.filename, one.info.data, one.info.language)
    lines = [
        line for place in one.ranges for line in range(place.start.line, max(place.end.line, place.start.line) + 1)
    ]
    return Warning(
        one.vertex,
        one.short.decode(errors="replace"),
        tuple(text.decode(errors="replace") for text in one.detail),
        one.url,
        one.level,
        source,
        tuple(lines),
    )


def _time(moment: Timestamp) -> int:
    return moment.seconds * 10**9 + moment.nanos
