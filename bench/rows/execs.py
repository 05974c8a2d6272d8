"""`docker exec C true`, by the docker CLI for every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.engines import Engine
from bench.row import IMAGE, Row, Scale
from bench.rows._session import Sample, session


@session
def _exec(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    container = engine.create(IMAGE, ["sleep", "86400"], NetworkMode="none")
    try:
        engine.start(container)
        yield lambda: engine.docker("exec", container, "true") * 1000
    finally:
        engine.remove(container)


ROWS = (Row("exec", "`docker exec C true`", "ms", 0.6, _exec),)
