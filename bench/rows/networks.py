"""Networks: making many, and bytes between containers and through a published port."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.engines import Engine, body
from bench.inside import Sink, opened, send
from bench.row import IMAGE, Row, Scale
from bench.rows._session import Sample, session

NETWORK = "bench-network"
PORT = 5001
_PATIENCE_S = 10.0


@contextmanager
def network(engine: Engine) -> Iterator[str]:
    """A network of the row's own."""
    # Both engines have theirs at the same time, in one namespace.
    subnet = f"10.{231 if engine.name == 'ours' else 232}.0.0/24"
    engine.call("POST", "/networks/create", {"Name": NETWORK, "IPAM": {"Config": [{"Subnet": subnet}]}})
    try:
        yield NETWORK
    finally:
        engine.call("DELETE", f"/networks/{NETWORK}")


@contextmanager
def running(engine: Engine, *command: str, **host: Any) -> Iterator[str]:
    """A container that runs meanwhile."""
    asked = body(IMAGE, list(command), **host) | {"ExposedPorts": {key: {} for key in host.get("PortBindings") or {}}}
    container = str(engine.call("POST", "/containers/create", asked)["Id"])
    try:
        engine.start(container)
        yield container
    finally:
        engine.remove(container)


@session
def _run(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    with network(engine) as name:
        yield lambda: engine.docker("run", "--rm", "--network", name, IMAGE, "true") * 1000


@session
def _publish(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    yield lambda: engine.docker("run", "--rm", "-p", "80", IMAGE, "true") * 1000


@session
def _many(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    def sample() -> float:
        began = time.perf_counter()
        for number in range(scale.burst):
            subnet = {"Subnet": f"10.230.{number}.0/24"}
            engine.call("POST", "/networks/create", {"Name": f"bench-{number}", "IPAM": {"Config": [subnet]}})
        for number in range(scale.burst):
            engine.call("DELETE", f"/networks/bench-{number}")
        return time.perf_counter() - began

    yield sample


@session
def _between(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    count = scale.stream_mib * 4
    with (
        network(engine) as name,
        running(engine, "sleep", "86400", NetworkMode=name) as target,
        running(engine, "sleep", "86400", NetworkMode=name) as source,
        closing(Sink(engine, target, PORT)),
    ):
        address = engine.call("GET", f"/containers/{target}/json")["NetworkSettings"]["Networks"][name]["IPAddress"]

        def sample() -> float:
            connection = opened(engine, source, lambda: socket.create_connection((address, PORT), _PATIENCE_S))
            began = time.perf_counter()
            send(connection, count)
            return count / (time.perf_counter() - began)

        yield sample


@session
def _published(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    count = scale.stream_mib * 4
    bindings = {f"{PORT}/tcp": [{"HostIp": "127.0.0.1"}]}
    with running(engine, "sleep", "86400", PortBindings=bindings) as target, closing(Sink(engine, target, PORT)):
        shown = engine.call("GET", f"/containers/{target}/json")
        port = int(shown["NetworkSettings"]["Ports"][f"{PORT}/tcp"][0]["HostPort"])

        def sample() -> float:
            connection = socket.create_connection(("127.0.0.1", port), _PATIENCE_S)
            began = time.perf_counter()
            send(connection, count)
            return count / (time.perf_counter() - began)

        yield sample


ROWS = (
    Row("run-network", "the same, a network of one's own (with names)", "ms", 0.25, _run),
    Row("run-publish", "the same, `-p 80`", "ms", 0.25, _publish),
    Row("networks", "{burst} networks created and removed", "s", None, _many, long=True, needs_docker_cli=False),
    Row(
        "tcp",
        "TCP between two containers",
        "MiB/s",
        0.95,
        _between,
        long=True,
        higher_is_better=True,
        needs_docker_cli=False,
    ),
    Row(
        "tcp-published",
        "TCP from the host through a published port",
        "MiB/s",
        0.95,
        _published,
        long=True,
        higher_is_better=True,
        needs_docker_cli=False,
    ),
)
