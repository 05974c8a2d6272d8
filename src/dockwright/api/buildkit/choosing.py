"""What filters choose among: records of builds, what the build cache holds, workers."""

from __future__ import annotations

import csv
import operator
import time
from collections.abc import Callable, Mapping, Sequence

from dockwright.api.buildkit import filters
from dockwright.build import CacheUse
from dockwright.build.sources import gitref
from dockwright.buildkit.proto.control_pb2 import BuildHistoryRecord
from dockwright.buildkit.proto.worker_pb2 import WorkerRecord
from dockwright.errors import Invalid
from dockwright.units import parse_duration, parse_time

_COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_TIMES = ("startedAt", "completedAt", "duration")
_CANCELLED = "context canceled"


def uses(texts: Sequence[str]) -> Callable[[CacheUse], bool]:
    """What of the build cache `texts` choose. Raises `Invalid`."""
    wanted = filters.parse(texts)
    return lambda use: wanted(_of_use(use))


def is_mutable(use: CacheUse) -> bool:
    """Whether it changes as it is used: all but what steps made."""
    return use.kind != "regular"


def workers(texts: Sequence[str]) -> Callable[[WorkerRecord], bool]:
    """Which workers `texts` choose. Raises `Invalid`."""
    wanted = filters.parse(texts)
    return lambda worker: wanted(
        {"id": worker.ID, **{f"labels.{name}": value for name, value in worker.Labels.items()}}
    )


def chosen(texts: Sequence[str]) -> Callable[[BuildHistoryRecord], bool]:
    """Which records of builds `texts` choose: by `ref`, `repository`, `status`, and by `startedAt`, `completedAt` and
    `duration`, which are compared with spans of time. Raises `Invalid`."""
    every = [_record_filter(text) for text in texts if text.strip()]
    return lambda record: not every or any(one(record) for one in every)


def _record_filter(text: str) -> Callable[[BuildHistoryRecord], bool]:
    plain: list[str] = []
    tests: list[Callable[[BuildHistoryRecord], bool]] = []
    for condition in next(csv.reader([text])):
        for field, operation, value in filters.conditions(condition):
            if field in _TIMES:
                tests.append(_time_test(field, operation, value))
            else:
                plain.append(condition)
    wanted = filters.parse([",".join(plain)])
    return lambda record: wanted(_of_record(record)) and all(test(record) for test in tests)


def _time_test(field: str, operation: str, value: str) -> Callable[[BuildHistoryRecord], bool]:
    compare = _COMPARED.get(operation)
    if compare is None:
        raise Invalid(f"invalid filter {field}{operation}{value}: it is compared by <, <=, > or >=")
    bound = parse_duration(value) if field == "duration" else parse_time(value, time.time_ns())
    return lambda record: compare(_time_of(record, field), bound)


def _time_of(record: BuildHistoryRecord, field: str) -> int:
    created, completed = record.CreatedAt.ToNanoseconds(), record.CompletedAt.ToNanoseconds()
    if field == "duration":
        return max(0, completed - created)
    return created if field == "startedAt" else completed


def _of_record(record: BuildHistoryRecord) -> filters.Fields:
    return {"ref": record.Ref, "status": _status(record), "repository": _repository(record)}


def _status(record: BuildHistoryRecord) -> str:
    if not record.HasField("CompletedAt"):
        return "running"
    if not record.HasField("error"):
        return "completed"
    return "canceled" if _CANCELLED in record.error.message else "error"


def _repository(record: BuildHistoryRecord) -> str | None:
    attributes = record.FrontendAttrs
    if "vcs:source" in attributes:
        return attributes["vcs:source"]
    try:
        found = gitref.parse(attributes.get("context", ""), context=True)
    except Invalid:
        return None
    return None if found is None else found.remote


def _of_use(use: CacheUse) -> filters.Fields:
    def flag(on: bool) -> str | None:
        return "true" if on else None

    return {
        "id": use.id,
        "type": use.kind,
        "description": use.description or None,
        "inuse": flag(use.in_use),
        "mutable": flag(is_mutable(use)),
        "immutable": flag(not is_mutable(use)),
        "shared": flag(use.shared),
        "private": flag(not use.shared),
    }
