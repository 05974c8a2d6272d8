"""kill -9 while containers connect and disconnect under load: the next daemon makes the kernel agree with what is stored."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dockwright import faults
from dockwright.network import Networks

from .conftest import Open, Server, links, shown
from .test_lifecycle import elements_of, handles

pytestmark = pytest.mark.root

VICTIM = """
import asyncio, random, sys
from pathlib import Path
from dockwright.errors import DockwrightError
from dockwright.network import *
from dockwright.store import Database

async def client(networks, number):
    me = f"{number}" * 64
    await networks.attach(me, AttachRequest(f"c{number}", (Join("blue"),), (PortRequest(80),)))
    print("live", flush=True)
    while True:
        await networks.connect(me, Join("green"))
        await asyncio.sleep(random.random() * 0.01)
        if random.random() < 0.5:
            ports = networks.attachment(me).ports
            await networks.publish(me, (PortRequest(81),), ports[2:])
        await networks.disconnect(me, "green")

async def maker(networks):
    await networks.prune(lambda network: network.name == "brief")  # the one a former victim was killed over
    while True:
        await networks.create(NetworkRequest("brief"))
        await networks.remove("brief")

async def main():
    folder, bridge = Path(sys.argv[1]), sys.argv[2]
    database = await Database.open(folder / "state.db", [NETWORK_SCHEMA])
    networks = await Networks.open(database, folder / "exec", NetworkOptions(bridge=bridge, prepared=0))
    await networks.reconcile({f"{number}" * 64 for number in range(3)})
    for name, subnet in (("blue", "10.214.1.0/24"), ("green", "10.214.2.0/24")):
        if name not in {network.name for network in networks.networks()}:
            await networks.create(NetworkRequest(name, subnets=(Subnet(subnet),)))
    for number in range(3):
        if networks.attachment(f"{number}" * 64) is not None:
            await networks.detach(f"{number}" * 64)
    await asyncio.gather(maker(networks), *(client(networks, number) for number in range(3)))

asyncio.run(main())
"""
CONTAINERS = [f"{number}" * 64 for number in range(3)]


def interfaces(networks: Networks, container: str) -> set[str]:
    attachment = networks.attachment(container)
    assert attachment is not None
    return {line.split("@")[0].split()[0] for line in shown(attachment.netns_path, "ip", "-br", "link").splitlines()}


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.07, 0.15, 0.3])
async def test_connections_are_whole_after_kill_9_and_nothing_is_left(
    open_networks: Open, tmp_path: Path, bridge_name: str, delay_s: float
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(faults.__file__).parents[1])}
    for _ in range(2):
        victim = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-c", VICTIM, str(tmp_path), bridge_name],
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert victim.stdout is not None
        for _ in CONTAINERS:
            assert await asyncio.to_thread(victim.stdout.readline) == b"live\n"
        await asyncio.sleep(delay_s)
        victim.kill()
        victim.wait()
        victim.stdout.close()
    networks = await open_networks(live=set(CONTAINERS))
    assert networks.reconcile_warnings == []  # type: ignore[attr-defined]
    await networks.settle()
    endpoints = mappings = 0
    for container in CONTAINERS:
        attachment = networks.attachment(container)
        assert attachment is not None
        assert interfaces(networks, container) == {"lo", *(f"eth{n}" for n in range(len(attachment.places)))}
        endpoints += len(attachment.places)
        mappings += sum(1 for port in attachment.ports if ":" not in port.host_ip)
    bridges = {network.link for network in networks.networks() if network.link}
    assert len(links(networks)) == len(bridges) + endpoints
    assert links(networks) >= bridges
    assert await elements_of(bridge_name) == mappings
    assert handles(tmp_path) == {networks.attachment(c).netns_path.name for c in CONTAINERS}  # type: ignore[union-attr]
    attachment = networks.attachment(CONTAINERS[0])
    assert attachment is not None
    server = await asyncio.to_thread(Server, attachment.netns_path, "tcp", 80)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", attachment.ports[0].host_port)
        writer.write(b"hi")
        writer.write_eof()
        assert (await reader.read()).endswith(b" hi")
        writer.close()
    finally:
        server.close()
