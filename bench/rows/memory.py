"""PSS of the daemon, its helpers and the monitors of its containers (conmon; containerd and shims)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.engines import Engine
from bench.row import Prepare, Row, Scale
from bench.rows._session import Sample, session
from bench.rows.starts import create_many, remove_many, start_many

SETTLE_S = 2.0


@session
def _idle(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    def sample() -> float:
        time.sleep(SETTLE_S)
        return engine.pss_kib() / 1024

    yield sample


def _running(index: int) -> Prepare:
    def make(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
        count = scale.running[index]

        def sample() -> float:
            before = engine.pss_kib()
            containers = create_many(engine, count)
            try:
                start_many(engine, containers)
                time.sleep(SETTLE_S)
                return (engine.pss_kib() - before) / 1024 / count
            finally:
                remove_many(engine, containers)
                time.sleep(SETTLE_S)

        yield sample

    return session(make)


def _row(name: str, title: str, budget: float, prepare: Prepare) -> Row:
    return Row(name, title, "MiB", budget, prepare, long=True, needs_docker_cli=False)


ROWS = (
    _row("memory-idle", "memory: idle, fresh", 0.6, _idle),
    _row("memory-20", "memory: per running container, {running[0]} of them", 0.3, _running(0)),
    _row("memory-100", "memory: per running container, {running[1]} of them", 0.3, _running(1)),
)
AFTERWARDS = (_row("memory-after", "memory: idle, after all of the above", 0.6, _idle),)
