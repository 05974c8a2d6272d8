"""Many containers from eight clients at once, each on a kept-alive connection: containers per second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.engines import Engine, body
from bench.http import Connection
from bench.row import IMAGE, Row, Scale
from bench.rows._session import Sample, session

CLIENTS = 8
_COMMAND = ["sleep", "86400"]


def in_parallel(engine: Engine, work: Callable[[Connection, int], object], count: int) -> float:
    """Do `work(connection, number)` for each number by eight clients; seconds until the last has ended."""

    def client(offset: int) -> None:
        connection = engine.connection()
        try:
            for number in range(offset, count, CLIENTS):
                work(connection, number)
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.perf_counter()
        for ended in [pool.submit(client, offset) for offset in range(CLIENTS)]:
            ended.result()
        return time.perf_counter() - began


def create_many(engine: Engine, count: int) -> list[str]:
    """Create `count` containers on the default bridge."""
    made = [""] * count

    def create(connection: Connection, number: int) -> None:
        made[number] = connection.call("POST", "/containers/create", body(IMAGE, _COMMAND))["Id"]

    in_parallel(engine, create, count)
    return made


def start_many(engine: Engine, containers: list[str]) -> float:
    """Start them by eight clients; seconds."""
    return in_parallel(
        engine,
        lambda connection, number: connection.call("POST", f"/containers/{containers[number]}/start"),
        len(containers),
    )


def remove_many(engine: Engine, containers: list[str]) -> None:
    """Remove them by force."""
    in_parallel(engine, lambda _, number: engine.remove(containers[number]), len(containers))


@session
def _start(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    def sample() -> float:
        containers = create_many(engine, scale.burst)
        try:
            return scale.burst / start_many(engine, containers)
        finally:
            remove_many(engine, containers)

    yield sample


@session
def _run(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    def sample() -> float:
        containers: list[str] = []

        def run(connection: Connection, number: int) -> None:
            made = connection.call("POST", "/containers/create", body(IMAGE, _COMMAND))["Id"]
            containers.append(made)
            connection.call("POST", f"/containers/{made}/start")

        try:
            return scale.burst / in_parallel(engine, run, scale.burst)
        finally:
            remove_many(engine, containers)

    yield sample


ROWS = (
    Row(
        "burst-start",
        "{burst} started from 8 clients, created beforehand, bridge",
        "/s",
        3.0,
        _start,
        long=True,
        higher_is_better=True,
        needs_docker_cli=False,
    ),
    Row(
        "burst-run",
        "{burst} created and started (`run -d`) from 8 clients, bridge",
        "/s",
        3.0,
        _run,
        long=True,
        higher_is_better=True,
        needs_docker_cli=False,
    ),
)
