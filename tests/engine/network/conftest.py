"""Real bridges, namespaces and traffic: each test has a bridge and a daemon state of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from dockwright.network import (
    NETWORK_SCHEMA,
    Attachment,
    AttachRequest,
    Join,
    Network,
    NetworkOptions,
    NetworkRequest,
    Networks,
    PortRequest,
    Subnet,
)
from dockwright.store import Database

Open = Callable[..., Awaitable[Networks]]
OUTSIDE, HOST = "198.51.100.2", "198.51.100.1"


@pytest.fixture
def bridge_name(request: pytest.FixtureRequest) -> str:
    """A name no other bridge of this host has."""
    return f"dwt{os.getpid() % 100000}{abs(hash(request.node.name)) % 1000}"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "state.db", [NETWORK_SCHEMA])
    yield database
    await database.aclose()


@pytest.fixture
async def open_networks(database: Database, tmp_path: Path, bridge_name: str) -> AsyncIterator[Open]:
    """Opens (again) the networks of one daemon; what is open at the end is emptied and closed."""
    opened: list[Networks] = []

    async def open_(live: set[str] | None = None, **options: object) -> Networks:
        settings = {"bridge": bridge_name, "prepared": 0, **options}
        networks = await Networks.open(database, tmp_path / "exec", NetworkOptions(**settings))
        opened.append(networks)
        networks.reconcile_warnings = await networks.reconcile(live or set())
        return networks

    yield open_
    for networks in opened:
        for container in list(networks._sandboxes):
            await networks.detach(container)
        if not networks._closed:
            await networks.prune(lambda network: True)
        await networks.aclose()


@pytest.fixture
async def networks(open_networks: Open) -> Networks:
    return await open_networks()


@pytest.fixture
def outside() -> Iterator[Path]:
    """A second host: a namespace on a veth pair of its own, with routes to everything by this host."""
    name = "dwt" + secrets.token_hex(4)
    commands = [
        f"ip netns add {name}",
        f"ip link add {name} type veth peer name eth0 netns {name}",
        f"ip addr add {HOST}/24 dev {name}",
        f"ip addr add fd00:51::1/64 dev {name} nodad",
        f"ip link set {name} up",
        f"ip -n {name} addr add {OUTSIDE}/24 dev eth0",
        f"ip -n {name} addr add fd00:51::2/64 dev eth0 nodad",
        f"ip -n {name} link set eth0 up",
        f"ip -n {name} route add default via {HOST}",
        f"ip -n {name} -6 route add default via fd00:51::1",
    ]
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield Path("/run/netns", name)
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False)
        subprocess.run(["ip", "netns", "delete", name], check=True)


def inside(netns: Path, code: str, *arguments: str, timeout_s: float = 20) -> str:
    """Run Python in a namespace; returns what it prints. Raises `CalledProcessError`."""
    command = ["nsenter", f"--net={netns}", sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout_s).stdout.strip()


class Server:
    """A server in a namespace, of both address families: answers each connection or datagram with the peer's address and
    what it sent."""

    CODE = """
import socket, socketserver, sys
kind, port = sys.argv[1], int(sys.argv[2])
if kind == "tcp":
    class H(socketserver.BaseRequestHandler):
        def handle(self):
            data = b""
            while chunk := self.request.recv(65536): data += chunk
            self.request.sendall(f"{self.client_address[0].removeprefix('::ffff:')} ".encode() + data)
    class S(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 1024
        address_family = socket.AF_INET6
    s = S(("::", port), H)
else:
    class H(socketserver.BaseRequestHandler):
        def handle(self):
            self.request[1].sendto(f"{self.client_address[0]} ".encode() + self.request[0], self.client_address)
    class S(socketserver.UDPServer):
        max_packet_size = 65536
    s = S(("0.0.0.0", port), H)
print("ready", flush=True)
s.serve_forever()
"""

    def __init__(self, netns: Path, kind: str, port: int) -> None:
        self._process = subprocess.Popen(
            ["nsenter", f"--net={netns}", sys.executable, "-c", self.CODE, kind, str(port)], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def links(networks: Networks) -> set[str]:
    """Names of the host's interfaces that belong to these networks: their bridges and what is on them."""
    text = subprocess.run(["ip", "-json", "link"], check=True, capture_output=True, text=True).stdout
    found = json.loads(text)
    owner = f"dockwright of {networks._options.bridge}"
    bridges = {link["ifname"] for link in found if link.get("ifalias") == owner}
    return bridges | {link["ifname"] for link in found if link.get("master") in bridges}


def shown(netns: Path, *command: str) -> str:
    """What a command says in a namespace."""
    return subprocess.run(
        ["nsenter", f"--net={netns}", *command], check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()


async def network(networks: Networks, name: str, subnet: str = "", **more: object) -> Network:
    """A user-defined network; `subnet` with a gateway of its own choosing."""
    subnets = tuple(Subnet(one) for one in subnet.split(",") if one)
    return await networks.create(NetworkRequest(name, subnets=subnets, **more))  # type: ignore[arg-type]


def on(name: str, *networks: str, **more: object) -> AttachRequest:
    """A request for a place on each of these networks."""
    return AttachRequest(name, tuple(Join(one) for one in networks), **more)  # type: ignore[arg-type]


async def ask(netns: Path, host: str, port: int, text: str = "hello", *, timeout_s: int = 15) -> str:
    """What a server answers to a client in a namespace; "" when it is not reached."""
    code = TCP_ASK.replace("=5", f"={timeout_s}")
    try:
        return await asyncio.to_thread(inside, netns, code, host, str(port), text, timeout_s=30)
    except subprocess.CalledProcessError:
        return ""


async def reaches(netns: Path, host: str, port: int) -> bool:
    """Whether a client in a namespace is answered within a second: for what must not be."""
    return await ask(netns, host, port, timeout_s=1) != ""


async def serving(networks: Networks, container: str, *where: str, **more: object) -> tuple[Attachment, Server]:
    attachment = await networks.attach(container, on(container[:4], *where, **more))
    return attachment, await asyncio.to_thread(Server, attachment.netns_path, "tcp", 80)


TCP_ASK = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
s.sendall(sys.argv[3].encode()); s.shutdown(1)
data = b""
while chunk := s.recv(65536): data += chunk
print(data.decode())
"""

__all__ = [
    "HOST",
    "OUTSIDE",
    "TCP_ASK",
    "AttachRequest",
    "Open",
    "PortRequest",
    "Server",
    "ask",
    "inside",
    "links",
    "network",
    "on",
    "reaches",
    "serving",
    "shown",
]
