"""Names: one lookup after another, and a thousand a second from four containers while the daemon is asked how it is."""

from __future__ import annotations

import select
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.engines import Engine
from bench.http import Failed
from bench.inside import opened
from bench.row import Row, Scale
from bench.rows._session import Sample, session
from bench.rows.networks import network, running

LOOKUPS = 200
ASKERS, PER_SECOND, SECONDS = 4, 1000, 3
_SERVER = ("127.0.0.11", 53)
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Figures:
    """One run at the given rate. Milliseconds; `loop_p99` is of `GET /_ping`, asked all the while."""

    answered_per_s: float
    p50: float
    p99: float
    loop_p99: float


def question(number: int, name: str) -> bytes:
    """One question for an A record (RFC 1035, 4.1)."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


@contextmanager
def _asked(engine: Engine, count: int) -> Iterator[tuple[list[socket.socket], str]]:
    """Sockets in so many containers of one network, and the short id of one of them."""
    with ExitStack() as stack:
        name = stack.enter_context(network(engine))
        found = [stack.enter_context(running(engine, "sleep", "86400", NetworkMode=name)) for _ in range(count)]
        askers = [opened(engine, one, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for one in found]
        for asker in askers:
            stack.callback(asker.close)
            asker.connect(_SERVER)
            asker.settimeout(_PATIENCE_S)
        yield askers, found[0][:12]  # dockerd knows no name that it chose itself


@session
def _names(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    with _asked(engine, 1) as ((asker,), name):

        def sample() -> float:
            began = time.perf_counter()
            for number in range(LOOKUPS):
                asker.send(question(number, name))
                answer = asker.recv(512)
                if answer[6:8] != b"\0\1":
                    raise Failed(f"{name}: no answer: {answer.hex()}")
            return (time.perf_counter() - began) * 1000 / LOOKUPS

        yield sample


def _under_load(figure: Callable[[Figures], float]) -> Callable[[Engine, Scale, Path], Iterator[Sample]]:
    def prepare(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
        with _asked(engine, ASKERS) as (askers, name):
            yield lambda: figure(measured(engine, askers, name))

    return prepare


def measured(engine: Engine, askers: list[socket.socket], name: str) -> Figures:
    """Ask at the given rate, whether answers come or not."""
    ended = threading.Event()
    loop: list[float] = []
    pinging = threading.Thread(target=_ping, args=(engine, ended, loop))
    pinging.start()
    sent, took = [0.0] * (PER_SECOND * SECONDS), list[float]()
    began = time.perf_counter()
    try:
        for number in range(len(sent)):
            due = began + number / PER_SECOND
            while (left_s := due - time.perf_counter()) > 0:
                _collect(askers, sent, took, left_s)
            sent[number] = time.perf_counter()
            askers[number % len(askers)].send(question(number, name))
        deadline = time.perf_counter() + 1.0
        while len(took) < len(sent) and time.perf_counter() < deadline:
            _collect(askers, sent, took, 0.05)
    finally:
        ended.set()
        pinging.join()
    if len(took) < 2 or len(loop) < 2:
        raise Failed(f"{len(took)} answers, {len(loop)} pings")
    hundredths = statistics.quantiles(took, n=100)
    return Figures(len(took) / SECONDS, hundredths[49], hundredths[98], statistics.quantiles(loop, n=100)[98])


def _collect(askers: list[socket.socket], sent: list[float], took: list[float], limit_s: float) -> None:
    for asker in select.select(askers, [], [], limit_s)[0]:
        (number,) = struct.unpack(">H", asker.recv(512)[:2])
        took.append((time.perf_counter() - sent[number]) * 1000)


def _ping(engine: Engine, ended: threading.Event, took: list[float]) -> None:
    connection = engine.connection()
    while not ended.wait(0.005):
        began = time.perf_counter()
        connection.raw("GET", "/_ping")
        took.append((time.perf_counter() - began) * 1000)
    connection.close()


_AT = f"at {PER_SECOND} a second from {ASKERS} containers"
ROWS = (
    Row("names", "a name asked for in a container", "ms", None, _names, needs_docker_cli=False),
    Row(
        "names-answered",
        f"names, {_AT}: answered",
        "/s",
        0.95,
        session(_under_load(lambda found: found.answered_per_s)),
        long=True,
        higher_is_better=True,
        needs_docker_cli=False,
    ),
    Row(
        "names-p50",
        f"names, {_AT}: median",
        "ms",
        None,
        session(_under_load(lambda found: found.p50)),
        long=True,
        needs_docker_cli=False,
    ),
    Row(
        "names-p99",
        f"names, {_AT}: 99th of 100",
        "ms",
        None,
        session(_under_load(lambda found: found.p99)),
        long=True,
        needs_docker_cli=False,
    ),
    Row(
        "names-loop",
        "the daemon's own answer meanwhile, 99th of 100",
        "ms",
        None,
        session(_under_load(lambda found: found.loop_p99)),
        long=True,
        needs_docker_cli=False,
    ),
)
