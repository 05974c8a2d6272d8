"""`GET /containers/json?all=1` with many containers, created and not started."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.engines import Engine
from bench.row import Row, Scale
from bench.rows._session import Sample, session
from bench.rows.starts import create_many, remove_many


@session
def _list(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    containers = create_many(engine, scale.listed)
    connection = engine.connection()

    def sample() -> float:
        began = time.perf_counter()
        connection.raw("GET", "/containers/json", all="1")
        return (time.perf_counter() - began) * 1000

    try:
        yield sample
    finally:
        connection.close()
        remove_many(engine, containers)


ROWS = (Row("list", "`GET /containers/json`, {listed} created", "ms", 0.5, _list, needs_docker_cli=False),)
