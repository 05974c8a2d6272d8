"""What containers say: attached, logged, and read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.engines import Engine
from bench.row import IMAGE, Row, Scale
from bench.rows._session import Sample, session

LINE = "x" * 99


@session
def _attach(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    count = scale.stream_mib
    command = ["run", "--rm", "--network", "none", "--log-driver", "none", IMAGE]
    yield lambda: count / engine.docker(*command, "dd", "if=/dev/zero", "bs=1M", f"count={count}")


@session
def _attach_logged(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    size_mib = scale.log_lines * (len(LINE) + 1) / (1 << 20)
    command = f"yes {LINE} | head -n {scale.log_lines}"
    yield lambda: size_mib / engine.docker("run", "--rm", "--network", "none", IMAGE, "sh", "-c", command)


@session
def _logs(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    size_mib = scale.log_lines * (len(LINE) + 1) / (1 << 20)
    container = engine.create(IMAGE, ["sh", "-c", f"yes {LINE} | head -n {scale.log_lines}"], NetworkMode="none")
    try:
        engine.start(container)
        engine.call("POST", f"/containers/{container}/wait")
        yield lambda: size_mib / engine.docker("logs", container)
    finally:
        engine.remove(container)


ROWS = (
    Row("attach", "attached output, not logged (`dd bs=1M`)", "MiB/s", None, _attach, long=True, higher_is_better=True),
    Row(
        "attach-log",
        "attached and logged, lines of 100",
        "MiB/s",
        None,
        _attach_logged,
        long=True,
        higher_is_better=True,
    ),
    Row("logs", "`docker logs`, lines of 100", "MiB/s", None, _logs, long=True, higher_is_better=True),
)
