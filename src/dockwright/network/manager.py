"""The manager: which container is on which network, stored first and then made true."""

from __future__ import annotations

import ipaddress
import logging
import sqlite3
import time
from pathlib import Path

import msgspec

from dockwright import faults, workers
from dockwright.errors import Conflict, DockwrightError, HostFailure, Invalid, NotFound, Unsupported
from dockwright.network.bridge import BridgeDriver
from dockwright.network.claim import subnet_claim
from dockwright.network.driver import NetworkDriver
from dockwright.network.forwarding import forward_drop_warning
from dockwright.network.ipam import pick_subnet
from dockwright.network.model import Attachment, AttachRequest, Endpoint, Network, new_id
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink
from dockwright.network.nft import Nft
from dockwright.network.options import NetworkOptions
from dockwright.network.plain import PlainDriver
from dockwright.network.teardown import Teardown
from dockwright.store import Database, Schema
from dockwright.tasks import Background
from dockwright.undo import UndoStack

log = logging.getLogger(__name__)

NETWORK_SCHEMA = Schema(
    "network",
    [
        "CREATE TABLE network (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB NOT NULL);"
        "CREATE TABLE endpoint (container_id TEXT NOT NULL, network_id TEXT NOT NULL REFERENCES network (id),"
        " body BLOB NOT NULL, PRIMARY KEY (container_id, network_id))"
    ],
)

DEFAULT_NETWORK = "bridge"
ETHERNET_MTU = 1500


class Networks:
    """Networks and endpoints of one daemon. `Networks.open`, then `reconcile` once, then the verbs."""

    def __init__(self, database: Database, exec_root: Path, options: NetworkOptions) -> None:
        """Use `open`."""
        self._database = database
        self._options = options
        self._background = Background("networks")
        self._namespaces = Namespaces(exec_root / "netns")
        self._nft = Nft() if options.firewall else None
        self._teardown = Teardown(self._namespaces, self._background)
        self._bridge = BridgeDriver(options, self._namespaces, self._nft, self._teardown, self._background)
        self._drivers: dict[str, NetworkDriver] = {
            "bridge": self._bridge,
            "null": PlainDriver("null", self._namespaces, self._teardown),
        }
        self._networks: dict[str, Network] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._closed = False

    @classmethod
    async def open(cls, database: Database, exec_root: Path, options: NetworkOptions | None = None) -> Networks:
        """Load what is stored and bring up the default networks. `exec_root` is the daemon's own, on tmpfs.

        The database must know `NETWORK_SCHEMA`. Raises `HostFailure` or `Unsupported` when the kernel or a library
        refuses. Endpoints are neither checked nor repaired before `reconcile`.
        """
        await workers.quick((exec_root / "netns").mkdir, parents=True, exist_ok=True)
        self = cls(database, exec_root, options or NetworkOptions())
        async with UndoStack() as undo:
            undo.push_undo(self.aclose)
            await self._load()
            async with subnet_claim():
                await self._ensure_defaults()
                for network in self._networks.values():
                    if network.driver in self._drivers:
                        await self._drivers[network.driver].create(network, self._of(network))
            undo.release()
        return self

    async def reconcile(self, live: set[str]) -> list[str]:
        """Make the kernel agree with what is stored; call once, after `open`, before anything else.

        `live` are the containers whose processes run: their namespaces, links and ports are kept and repaired; the
        endpoints of others are removed, and so is whatever a dead daemon left behind. Returns warnings for a person.
        """
        warnings: list[str] = []
        kept = [endpoint for endpoint in self._endpoints.values() if endpoint.container_id in live]
        for endpoint in kept:
            warnings += await self._adopt(endpoint)
        for network in list(self._networks.values()):
            if network.driver in self._drivers:
                mine = [endpoint for endpoint in self._of(network) if endpoint.container_id in live]
                await self._drivers[network.driver].collect(network, mine)
        for endpoint in list(self._endpoints.values()):
            if endpoint.container_id not in live:
                await self._forget(endpoint)
        keep = {endpoint.sandbox for endpoint in kept}
        for name in await workers.quick(self._namespaces.names) - keep:
            await workers.quick(self._namespaces.remove, name)
        default = self._networks.get(DEFAULT_NETWORK)
        if default is not None:
            self._bridge.start_preparing(default)
        return warnings

    async def repair(self) -> None:
        """Make bridges, rules and ports right again while containers run, after somebody flushed or deleted them.

        Raises `HostFailure` for what cannot be mended (a namespace that is gone); the rest is mended first.
        """
        failure: HostFailure | None = None
        for network in list(self._networks.values()):
            driver = self._drivers.get(network.driver)
            if driver is None:
                continue
            await driver.create(network, self._of(network))
            for endpoint in self._of(network):
                try:
                    await driver.adopt(network, endpoint)
                    await driver.attach(network, endpoint)
                except HostFailure as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    async def attach(self, container_id: str, request: AttachRequest, network: str = DEFAULT_NETWORK) -> Attachment:
        """Connect a container that is about to start; when it is connected already, the same answer again.

        Raises `NotFound` for a network that is not there, `Invalid` for a request it cannot fulfil, `Conflict` for a
        port in use (with Docker's words), `Unavailable` when addresses have run out, `HostFailure` when the kernel
        refuses. A failed or cancelled call leaves nothing behind.
        """
        existing = self._endpoints.get(container_id)
        target = self.get(network)
        if existing is not None:
            if existing.network_id != target.id:
                raise Conflict(f"container {container_id} is connected to another network")
            await self._drivers[target.driver].attach(target, existing)
            return self._attachment(existing)
        if target.driver not in self._drivers:
            raise Invalid(f"network {target.name} has no endpoints: its containers use the host's namespace")
        driver = self._drivers[target.driver]
        async with UndoStack() as undo:
            endpoint = await self._reserve(driver, target, container_id, request)
            undo.push_undo(driver.detach, target, endpoint)
            faults.point("network.persist")
            undo.push_undo(self._erase, endpoint)
            await self._store(endpoint)
            await self._connect(driver, target, endpoint)
            undo.release()
        return self._attachment(endpoint)

    async def detach(self, container_id: str) -> None:
        """Disconnect a container that has ended: its ports are free when this returns, the rest goes in the background.

        One that is not connected is no error.
        """
        endpoint = self._endpoints.get(container_id)
        if endpoint is not None:
            await self._forget(endpoint)

    async def sandbox(self, container_id: str) -> Path:
        """A namespace of its own with nothing but lo, for network mode `none`; `detach` ends it."""
        return (await self.attach(container_id, AttachRequest(container_id[:12]), "none")).netns_path

    def attachment(self, container_id: str) -> Attachment | None:
        """What a container was given, or None when it is not connected."""
        endpoint = self._endpoints.get(container_id)
        return self._attachment(endpoint) if endpoint is not None else None

    def get(self, name: str) -> Network:
        """A network by name, id or unique prefix of an id. Raises `NotFound`, `Invalid` for an ambiguous prefix."""
        if name in self._networks:
            return self._networks[name]
        found = [network for network in self._networks.values() if network.id.startswith(name)] if name else []
        if len(found) > 1:
            raise Invalid(f"network {name} is ambiguous ({len(found)} matches found on ID prefix)")
        if not found:
            raise NotFound(f"network {name} not found")
        return found[0]

    def networks(self) -> tuple[Network, ...]:
        """Every network."""
        return tuple(self._networks.values())

    async def warnings(self) -> tuple[str, ...]:
        """What a person should know about this host, each with what helps."""
        default = self._networks.get(DEFAULT_NETWORK)
        if self._nft is None or default is None:
            return ()
        warning = await forward_drop_warning(self._nft, default.link)
        return (warning,) if warning else ()

    async def settle(self) -> None:
        """Wait until nothing is left in the kernel of what was detached."""
        await self._teardown.settle()

    async def aclose(self) -> None:
        """End background work and let prepared namespaces go; connected containers stay connected.

        With no container connected, the bridge and the table go too: a stopped daemon leaves nothing. Safe to call twice.
        """
        if self._closed:
            return
        self._closed = True
        for driver in self._drivers.values():
            await driver.aclose()
        for network in self._networks.values():
            if not any(endpoint.network_id == network.id for endpoint in self._endpoints.values()):
                await self._delete_quietly(network)
        await self._background.aclose()
        await workers.quick(self._namespaces.close)
        if self._nft is not None:
            await workers.quick(self._nft.close)

    # -- endpoints ------------------------------------------------------------------------------------------------

    async def _reserve(
        self, driver: NetworkDriver, network: Network, container_id: str, request: AttachRequest
    ) -> Endpoint:
        try:
            return await driver.reserve(network, container_id, request)
        except Conflict as error:
            raise Conflict(_connectivity(request.name, "", error)) from error

    async def _connect(self, driver: NetworkDriver, network: Network, endpoint: Endpoint) -> None:
        try:
            await driver.attach(network, endpoint)
        except Conflict as error:
            raise Conflict(_connectivity(endpoint.container_name, endpoint.endpoint_id, error)) from error

    async def _adopt(self, endpoint: Endpoint) -> list[str]:
        network = next(n for n in self._networks.values() if n.id == endpoint.network_id)
        driver = self._drivers[network.driver]
        try:
            warnings = await driver.adopt(network, endpoint)
            await driver.attach(network, endpoint)
        except DockwrightError as error:
            return [f"container {endpoint.container_name}: {error}"]
        return warnings

    async def _forget(self, endpoint: Endpoint) -> None:
        network = next(n for n in self._networks.values() if n.id == endpoint.network_id)
        await self._drivers[network.driver].detach(network, endpoint)
        faults.point("network.forget")
        await self._erase(endpoint)

    def _of(self, network: Network) -> list[Endpoint]:
        return [endpoint for endpoint in self._endpoints.values() if endpoint.network_id == network.id]

    async def _store(self, endpoint: Endpoint) -> None:
        body = msgspec.json.encode(endpoint)

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO endpoint (container_id, network_id, body) VALUES (?, ?, ?)",
                (endpoint.container_id, endpoint.network_id, body),
            )

        await self._database.write(insert)
        self._endpoints[endpoint.container_id] = endpoint

    async def _erase(self, endpoint: Endpoint) -> None:
        self._endpoints.pop(endpoint.container_id, None)

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM endpoint WHERE container_id = ? AND network_id = ?",
                (endpoint.container_id, endpoint.network_id),
            )

        await self._database.write(delete)

    def _attachment(self, endpoint: Endpoint) -> Attachment:
        network = next(n for n in self._networks.values() if n.id == endpoint.network_id)
        interface = ipaddress.IPv4Interface(endpoint.address) if endpoint.address else None
        return Attachment(
            netns_path=self._namespaces.path(endpoint.sandbox),
            network_id=network.id,
            network_name=network.name,
            endpoint_id=endpoint.endpoint_id,
            mac=endpoint.mac,
            ip=str(interface.ip) if interface else "",
            prefix_len=interface.network.prefixlen if interface else 0,
            gateway=endpoint.gateway,
            ports=endpoint.ports,
        )

    # -- networks -------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        def read(connection: sqlite3.Connection) -> tuple[list[bytes], list[bytes]]:
            networks = [row[0] for row in connection.execute("SELECT body FROM network")]
            endpoints = [row[0] for row in connection.execute("SELECT body FROM endpoint")]
            return networks, endpoints

        networks, endpoints = await self._database.read(read)
        for body in networks:
            network = msgspec.json.decode(body, type=Network)
            self._networks[network.name] = network
        for body in endpoints:
            endpoint = msgspec.json.decode(body, type=Endpoint)
            self._endpoints[endpoint.container_id] = endpoint

    async def _ensure_defaults(self) -> None:
        for name, driver in (("host", "host"), ("none", "null")):
            if name not in self._networks:
                await self._save(Network(new_id(), name, driver, time.time_ns()))
        if self._options.bridge == "none":
            return
        stored = self._networks.get(DEFAULT_NETWORK)
        if stored is not None and any(e.network_id == stored.id for e in self._endpoints.values()):
            self._warn_of_change(stored)  # containers hold addresses of it: it stays as it is until they have ended
            return
        await self._save(await self._namespaces.run(lambda: self._plan_default(stored)))

    def _plan_default(self, stored: Network | None) -> Network:
        """Decide bridge, subnet and MTU from the options, the stored network and what the host has."""
        options = self._options
        self._namespaces.enter_host()
        with Netlink() as netlink:
            link = netlink.link(options.bridge)
            addresses, routes = netlink.addresses(), netlink.routes()
            mtus = {found.index: found.mtu for found in netlink.links()}
        own = link.index if link is not None else 0
        taken = [r.destination for r in routes if isinstance(r.destination, ipaddress.IPv4Network) and r.device != own]
        taken += [a.network for index, a in addresses if isinstance(a, ipaddress.IPv4Interface) and index != own]
        found = [a for index, a in addresses if isinstance(a, ipaddress.IPv4Interface) and index == own]
        kept = stored if stored is not None and stored.link == options.bridge else None
        if options.bip is not None:
            bip = options.bip
        elif found and not (kept and kept.owns_link):
            bip = found[0]
        elif kept and not any(ipaddress.IPv4Network(kept.subnet).overlaps(other) for other in taken):
            bip = ipaddress.IPv4Interface(f"{kept.gateway}/{ipaddress.IPv4Network(kept.subnet).prefixlen}")
        else:
            subnet = options.fixed_cidr or pick_subnet(options.address_pools, taken)
            bip = ipaddress.IPv4Interface(f"{subnet[1]}/{subnet.prefixlen}")
        uplink = next((r.device for r in routes if r.destination is None and r.device in mtus), 0)
        return Network(
            id=stored.id if stored else new_id(),
            name=DEFAULT_NETWORK,
            driver="bridge",
            created_ns=stored.created_ns if stored else time.time_ns(),
            subnet=str(bip.network),
            gateway=str(bip.ip),
            default_route=_inside(options.default_gateway, bip.network),
            ip_range=str(options.fixed_cidr or ""),
            link=options.bridge,
            mtu=options.mtu or min(mtus.get(uplink, ETHERNET_MTU), ETHERNET_MTU),
            icc=options.icc,
            masquerade=options.ip_masquerade,
            owns_link=kept.owns_link if kept and link else link is None,
        )

    def _warn_of_change(self, stored: Network) -> None:
        wanted = self._options
        if stored.link != wanted.bridge or (wanted.bip is not None and str(wanted.bip.network) != stored.subnet):
            log.warning("bridge %s (%s) stays as it is while containers are connected", stored.link, stored.subnet)

    async def _save(self, network: Network) -> None:
        body = msgspec.json.encode(network)

        def upsert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO network (id, name, body) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
                (network.id, network.name, body),
            )

        await self._database.write(upsert)
        self._networks[network.name] = network

    async def _delete_quietly(self, network: Network) -> None:
        driver = self._drivers.get(network.driver)
        if driver is None:
            return
        try:
            await driver.delete(network)
        except (HostFailure, Unsupported) as error:
            log.warning("network %s: %s", network.name, error)


def _inside(gateway: ipaddress.IPv4Address | None, subnet: ipaddress.IPv4Network) -> str:
    if gateway is not None and gateway not in subnet:
        raise Invalid(f"default-gateway {gateway} is not inside the bridge's subnet {subnet}")
    return str(gateway or "")


def _connectivity(name: str, endpoint_id: str, error: Conflict) -> str:
    return f"driver failed programming external connectivity on endpoint {name} ({endpoint_id or new_id()}): {error}"
