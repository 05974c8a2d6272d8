"""Networks and sandboxes as rows. Each method is one transaction."""

from __future__ import annotations

import sqlite3

import msgspec

from dockwright.network.model import Network, Sandbox
from dockwright.store import Database, Schema

# Version 2: a network has any number of subnets, and a container any number of endpoints, in one row with its sandbox.
_SEVERAL = """
UPDATE network SET body = CAST(json_set(CAST(body AS TEXT),
  '$.subnets', CASE json_extract(CAST(body AS TEXT), '$.subnet') WHEN '' THEN json('[]') ELSE json_array(json_object(
    'subnet', json_extract(CAST(body AS TEXT), '$.subnet'),
    'gateway', json_extract(CAST(body AS TEXT), '$.gateway'),
    'ip_range', json_extract(CAST(body AS TEXT), '$.ip_range'),
    'picked', json('true'))) END,
  '$.options', json_object(
    'com.docker.network.bridge.enable_icc',
      CASE json_extract(CAST(body AS TEXT), '$.icc') WHEN 0 THEN 'false' ELSE 'true' END,
    'com.docker.network.bridge.enable_ip_masquerade',
      CASE json_extract(CAST(body AS TEXT), '$.masquerade') WHEN 0 THEN 'false' ELSE 'true' END)) AS BLOB)
WHERE json_extract(CAST(body AS TEXT), '$.driver') = 'bridge';
CREATE TABLE sandbox (container_id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO sandbox SELECT container_id, CAST(json_object(
  'container_id', container_id,
  'name', json_extract(CAST(body AS TEXT), '$.container_name'),
  'handle', json_extract(CAST(body AS TEXT), '$.sandbox'),
  'ports', json_extract(CAST(body AS TEXT), '$.ports'),
  'endpoints', json_array(json(CAST(body AS TEXT)))) AS BLOB) FROM endpoint;
DROP TABLE endpoint
"""

NETWORK_SCHEMA = Schema(
    "network",
    [
        "CREATE TABLE network (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB NOT NULL);"
        "CREATE TABLE endpoint (container_id TEXT NOT NULL, network_id TEXT NOT NULL REFERENCES network (id),"
        " body BLOB NOT NULL, PRIMARY KEY (container_id, network_id))",
        _SEVERAL,
    ],
)


class NetworkTable:
    """The tables `network` and `sandbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> tuple[list[Network], list[Sandbox]]:
        """Everything."""

        def read(connection: sqlite3.Connection) -> tuple[list[bytes], list[bytes]]:
            networks = [row[0] for row in connection.execute("SELECT body FROM network")]
            sandboxes = [row[0] for row in connection.execute("SELECT body FROM sandbox")]
            return networks, sandboxes

        networks, sandboxes = await self._database.read(read)
        return (
            [msgspec.json.decode(body, type=Network) for body in networks],
            [msgspec.json.decode(body, type=Sandbox) for body in sandboxes],
        )

    async def save_network(self, network: Network) -> None:
        """Add or change a network."""
        values = (network.id, network.name, msgspec.json.encode(network))

        def upsert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO network (id, name, body) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
                values,
            )

        await self._database.write(upsert)

    async def delete_network(self, network_id: str) -> None:
        """Forget a network; one that is not there is no error."""
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM network WHERE id = ?", (network_id,)) and None
        )

    async def save_sandbox(self, sandbox: Sandbox) -> None:
        """Add or change a container's sandbox with all its endpoints and ports."""
        values = (sandbox.container_id, msgspec.json.encode(sandbox))

        def upsert(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO sandbox (container_id, body) VALUES (?, ?)", values)

        await self._database.write(upsert)

    async def delete_sandbox(self, container_id: str) -> None:
        """Forget a container's sandbox; one that is not there is no error."""
        await self._database.write(
            lambda connection: (
                connection.execute("DELETE FROM sandbox WHERE container_id = ?", (container_id,)) and None
            )
        )
