"""Sessions of one callable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

from bench.engines import Engine
from bench.row import Prepare, Scale

Sample = Callable[[], float]


@dataclass(frozen=True)
class Sampled:
    """A `Session` whose sample is `sample()`."""

    sample: Sample


def session(make: Callable[[Engine, Scale, Path], Iterator[Sample]]) -> Prepare:
    """Turn a generator that yields the sample function once, and cleans up after it, into a `Prepare`."""
    context = contextmanager(make)

    @wraps(make)
    def prepare(engine: Engine, scale: Scale, scratch: Path) -> AbstractContextManager[Sampled]:
        @contextmanager
        def opened() -> Iterator[Sampled]:
            with context(engine, scale, scratch) as sample:
                yield Sampled(sample)

        return opened()

    return prepare
