"""A row of the table, and how the engines take turns at it."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bench.engines import Engine
from bench.http import Failed

IMAGE = "bench-busybox:latest"
#: Between two samples: what an engine does after it answered belongs to nobody's next sample. Throughput rows see it.
PAUSE_S = 0.25


@dataclass(frozen=True)
class Scale:
    """How much: samples of a timed row, of a row that takes long, containers, images and bytes."""

    samples: int
    long_samples: int
    burst: int
    listed: int
    running: tuple[int, int]
    archive_mib: int
    small_files: int
    stream_mib: int
    log_lines: int
    pulled_layers: int
    pulled_layer_mib: int
    unpacked_files: int
    listed_images: int
    context_files: int

    @classmethod
    def full(cls) -> Scale:
        """The README's figures."""
        return cls(15, 3, 100, 1000, (20, 100), 160, 5000, 500, 300_000, 5, 47, 40_000, 500, 20_000)

    @classmethod
    def quick(cls) -> Scale:
        """A first impression."""
        return cls(5, 1, 24, 100, (5, 20), 40, 500, 100, 50_000, 5, 8, 4_000, 50, 2_000)

    def with_samples(self, samples: int) -> Scale:
        """The same with another number of samples."""
        return replace(self, samples=samples, long_samples=samples)


class Session(Protocol):
    """A row prepared on one engine: `sample` once per turn, in the row's unit."""

    def sample(self) -> float: ...


@dataclass(frozen=True)
class Row:
    """`prepare` gives a context in which one engine is ready; `higher_is_better` for throughput.

    `title` may name fields of the scale in braces.

    `budget` is the ratio to dockerd the design asks for, None where it asks none.
    """

    name: str
    title: str
    unit: str
    budget: float | None
    prepare: Prepare
    long: bool = False
    higher_is_better: bool = False
    needs_docker_cli: bool = True


class Prepare(Protocol):
    """Make a row's things on an engine and give the session; leaving removes them."""

    def __call__(self, engine: Engine, scale: Scale, scratch: Path) -> AbstractContextManager[Session]: ...


@dataclass
class Result:
    """Every sample of a row by engine, and what failed."""

    row: Row
    title: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def median(self, engine: str) -> float | None:
        """The middle sample, None without any."""
        found = self.samples.get(engine)
        return statistics.median(found) if found else None

    def ratio(self, engines: Sequence[str]) -> float | None:
        """First engine / last engine."""
        if len(engines) < 2:
            return None
        first, last = self.median(engines[0]), self.median(engines[-1])
        return first / last if first is not None and last else None

    def holds(self, engines: Sequence[str]) -> bool | None:
        """Whether the ratio is within the budget, None when either is unknown."""
        ratio, budget = self.ratio(engines), self.row.budget
        if ratio is None or budget is None:
            return None
        return ratio >= budget if self.row.higher_is_better else ratio <= budget


def measure(row: Row, engines: Sequence[Engine], scale: Scale, scratch: Path) -> Result:
    """Prepare the row on every engine, then sample in turns: A B, B A, A B … The first pair warms up and is dropped
    from rows with many samples. An engine that fails keeps its reason and leaves the row to the others."""
    result = Result(row, row.title.format(**asdict(scale)))
    contexts: list[AbstractContextManager[Session]] = []
    sessions: list[tuple[Engine, Session]] = []
    try:
        for engine in engines:
            context = row.prepare(engine, scale, scratch)
            try:
                sessions.append((engine, context.__enter__()))
                contexts.append(context)
            except (Failed, OSError, subprocess.SubprocessError) as error:
                result.failures[engine.name] = str(error)
        _take_turns(result, sessions, scale.long_samples if row.long else scale.samples + 1)
    finally:
        for context in reversed(contexts):
            context.__exit__(None, None, None)
    return result


def _take_turns(result: Result, sessions: list[tuple[Engine, Session]], rounds: int) -> None:
    for number in range(rounds):
        for engine, session in sessions if number % 2 == 0 else reversed(sessions):
            if engine.name in result.failures:
                continue
            time.sleep(PAUSE_S)
            try:
                value = session.sample()
            except (Failed, OSError, subprocess.SubprocessError) as error:
                result.failures[engine.name] = str(error)
                continue
            if result.row.long or number:
                result.samples.setdefault(engine.name, []).append(value)
