"""What the first release stored is read by this one."""

import json
import sqlite3
from pathlib import Path

from dockwright.network.table import NETWORK_SCHEMA, NetworkTable
from dockwright.store import Database, Schema

NETWORK = {
    "id": "n" * 64, "name": "bridge", "driver": "bridge", "created_ns": 7, "subnet": "172.17.0.0/16",
    "gateway": "172.17.0.1", "default_route": "", "ip_range": "", "link": "dockwright0", "mtu": 1500, "internal": False,
    "icc": False, "masquerade": True, "owns_link": True, "options": {}, "labels": {},
}  # fmt: skip
ENDPOINT = {
    "container_id": "c" * 64, "container_name": "web", "network_id": "n" * 64, "endpoint_id": "e" * 64,
    "sandbox": "0123456789ab", "interface": "eth0", "link": "dwv1", "mac": "02:42:ac:11:00:02",
    "address": "172.17.0.2/16", "gateway": "172.17.0.1",
    "ports": [{"container_port": 80, "protocol": "tcp", "host_ip": "0.0.0.0", "host_port": 8080, "relayed": False}],
}  # fmt: skip


async def test_networks_and_running_containers_of_the_first_release_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    old = await Database.open(path, [Schema("network", NETWORK_SCHEMA.versions[:1])])
    none = {**NETWORK, "id": "o" * 64, "name": "none", "driver": "null", "subnet": "", "gateway": "", "link": ""}

    def fill(connection: sqlite3.Connection) -> None:
        for body in (NETWORK, none):
            row = (body["id"], body["name"], json.dumps(body).encode())
            connection.execute("INSERT INTO network VALUES (?, ?, ?)", row)
        row = (ENDPOINT["container_id"], ENDPOINT["network_id"], json.dumps(ENDPOINT).encode())
        connection.execute("INSERT INTO endpoint VALUES (?, ?, ?)", row)

    await old.write(fill)
    await old.aclose()
    database = await Database.open(path, [NETWORK_SCHEMA])
    networks, (sandbox,) = await NetworkTable(database).load()
    await database.aclose()
    bridge = next(network for network in networks if network.name == "bridge")
    assert (bridge.gateway, bridge.subnets[0].subnet) == ("172.17.0.1", "172.17.0.0/16")
    assert bridge.options["com.docker.network.bridge.enable_icc"] == "false"
    assert next(network for network in networks if network.name == "none").subnets == ()
    assert (sandbox.name, sandbox.handle) == ("web", "0123456789ab")
    assert (sandbox.ports[0].host_port, sandbox.ports[0].container_port) == (8080, 80)
    assert (sandbox.endpoints[0].address, sandbox.endpoints[0].link) == ("172.17.0.2/16", "dwv1")
