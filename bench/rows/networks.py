"""Networks: making many, names, and bytes between containers and through a published port."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.engines import Engine, body
from bench.http import Failed
from bench.row import IMAGE, Row, Scale
from bench.rows._session import Sample, session

NETWORK = "bench-network"
PORT = 5001
LOOKUPS = 50
_SINK = f"while :; do nc -l -p {PORT} >/dev/null; done"
_PATIENCE_S = 10.0


@contextmanager
def _network(engine: Engine) -> Iterator[str]:
    engine.call("POST", "/networks/create", {"Name": NETWORK, "IPAM": {"Config": [{"Subnet": "10.231.0.0/24"}]}})
    try:
        yield NETWORK
    finally:
        engine.call("DELETE", f"/networks/{NETWORK}")


@contextmanager
def _running(engine: Engine, *command: str, **host: Any) -> Iterator[str]:
    asked = body(IMAGE, list(command), **host) | {"ExposedPorts": {key: {} for key in host.get("PortBindings") or {}}}
    container = str(engine.call("POST", "/containers/create", asked)["Id"])
    try:
        engine.start(container)
        yield container
    finally:
        engine.remove(container)


@session
def _run(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    with _network(engine) as network:
        yield lambda: engine.docker("run", "--rm", "--network", network, IMAGE, "true") * 1000


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
def _names(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    with _network(engine) as network, _running(engine, "sleep", "86400", NetworkMode=network) as container:
        name = engine.call("GET", f"/containers/{container}/json")["Name"].removeprefix("/")
        ask = f"for i in $(seq {LOOKUPS}); do nslookup -type=a {name} >/dev/null || exit 1; done"
        yield lambda: engine.docker("exec", container, "sh", "-c", ask) * 1000 / LOOKUPS


@session
def _between(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    count = scale.stream_mib * 4
    with (
        _network(engine) as network,
        _running(engine, "sh", "-c", _SINK, NetworkMode=network) as sink,
        _running(engine, "sleep", "86400", NetworkMode=network) as source,
    ):
        shown = engine.call("GET", f"/containers/{sink}/json")
        address = shown["NetworkSettings"]["Networks"][network]["IPAddress"]
        once = f"dd if=/dev/zero bs=1M count={count} 2>/dev/null | nc -w 5 {address} {PORT}"
        send = f"for i in 1 2 3 4 5 6 7 8 9; do {once} && exit 0; sleep 0.01; done; exit 1"
        yield lambda: count / engine.docker("exec", source, "sh", "-c", send)


@session
def _published(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    count = scale.stream_mib * 4
    bindings = {f"{PORT}/tcp": [{"HostIp": "127.0.0.1"}]}
    with _running(engine, "sh", "-c", _SINK, PortBindings=bindings) as sink:
        shown = engine.call("GET", f"/containers/{sink}/json")
        port = int(shown["NetworkSettings"]["Ports"][f"{PORT}/tcp"][0]["HostPort"])
        yield lambda: count / _send("127.0.0.1", port, count)


def _send(host: str, port: int, count_mib: int) -> float:
    """Send so many MiB and wait until the other side has them all; seconds."""
    block = bytes(1 << 20)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        began = time.perf_counter()
        try:
            with socket.create_connection((host, port), timeout=_PATIENCE_S) as connection:
                for _ in range(count_mib):
                    connection.sendall(block)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)
            return time.perf_counter() - began
        except OSError as error:  # the sink is between two connections
            if time.monotonic() > deadline:
                raise Failed(f"{host}:{port}: {error}") from error
            time.sleep(0.01)


ROWS = (
    Row("run-network", "the same, a network of one's own (with names)", "ms", 0.25, _run),
    Row("run-publish", "the same, `-p 80`", "ms", 0.25, _publish),
    Row("networks", "{burst} networks created and removed", "s", None, _many, long=True, needs_docker_cli=False),
    Row("names", f"a name asked for in a container ({LOOKUPS} `nslookup`)", "ms", None, _names),
    Row("tcp", "TCP between two containers", "MiB/s", 0.95, _between, long=True, higher_is_better=True),
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
