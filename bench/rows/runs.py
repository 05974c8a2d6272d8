"""`docker run --rm IMAGE true`, by the docker CLI for every engine: wall time of the whole command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.engines import Engine
from bench.row import IMAGE, Prepare, Row, Scale
from bench.rows._session import Sample, session


def _run(network: str) -> Prepare:
    def make(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
        yield lambda: engine.docker("run", "--rm", "--network", network, IMAGE, "true") * 1000

    return session(make)


ROWS = (
    Row("run-bridge", "`docker run --rm IMAGE true`, bridge", "ms", 0.25, _run("bridge")),
    Row("run-none", "the same, `--network none`", "ms", 0.35, _run("none")),
    Row("run-host", "the same, `--network host`", "ms", 0.5, _run("host")),
)
