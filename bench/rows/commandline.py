"""Each engine's own command line: `dockwright` for ours, `docker` for the others. Start-up included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.engines import Engine
from bench.row import IMAGE, Prepare, Row, Scale
from bench.rows._session import Sample, session


def _own(*arguments: str) -> Prepare:
    def make(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
        yield lambda: engine.own(*arguments) * 1000

    return session(make)


ROWS = (
    Row("cli-version", "own CLI: `--version`", "ms", None, _own("--version")),
    Row("cli-ps", "own CLI: `ps` (ours: 60 ms at most)", "ms", None, _own("ps")),
    Row("cli-run", "own CLI: `run --rm IMAGE true`", "ms", 1.0, _own("run", "--rm", IMAGE, "true")),
)
