"""The manager: networks as objects, stored first and then made true; which containers are on them is `sandboxes`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from msgspec.structs import replace

from dockwright import faults, workers
from dockwright.errors import Conflict, DockwrightError, Forbidden, HostFailure, Invalid, NotFound, Unsupported
from dockwright.events import Events
from dockwright.network import planning
from dockwright.network.claim import subnet_claim
from dockwright.network.defaults import DEFAULT_NETWORK, HostView, plan_default
from dockwright.network.driver import NetworkDriver
from dockwright.network.drivers.bridge import BridgeDriver
from dockwright.network.drivers.direct import DirectDriver
from dockwright.network.drivers.plain import PlainDriver
from dockwright.network.firewall import Firewall
from dockwright.network.forwarding import forward_drop_warning
from dockwright.network.model import Endpoint, Network, Sandbox, new_id
from dockwright.network.namespaces import Namespaces
from dockwright.network.nft import Nft
from dockwright.network.options import NetworkOptions
from dockwright.network.planning import NetworkRequest
from dockwright.network.ports import HostPorts
from dockwright.network.publishing import Publishing
from dockwright.network.relay import Relay
from dockwright.network.sandboxes import Sandboxes
from dockwright.network.table import NetworkTable
from dockwright.network.teardown import Teardown
from dockwright.store import Database
from dockwright.tasks import Background
from dockwright.undo import UndoStack

log = logging.getLogger(__name__)


class Networks(Sandboxes):
    """Networks and the containers on them, of one daemon. `Networks.open`, then `reconcile` once, then the verbs."""

    def __init__(
        self, database: Database, exec_root: Path, options: NetworkOptions, nft: Nft | None, events: Events | None
    ) -> None:
        """Use `open`."""
        background = Background("networks")
        namespaces = Namespaces(exec_root / "netns")
        teardown = Teardown(namespaces, background)
        firewall = Firewall(nft, options.bridge, options.publish_from) if nft is not None else None
        relay_to = options.relay and Path("/proc/net/if_inet6").exists()
        ports = HostPorts(default_ip=str(options.host_binding_ip), ipv6=relay_to)
        self._bridge = BridgeDriver(options, namespaces, firewall, teardown, background)
        drivers: dict[str, NetworkDriver] = {
            "bridge": self._bridge,
            "null": PlainDriver("null", namespaces, teardown),
            "macvlan": DirectDriver("macvlan", namespaces, teardown),
            "ipvlan": DirectDriver("ipvlan", namespaces, teardown),
        }
        publishing = Publishing(
            firewall,
            ports,
            Relay(background, options.publish_from),
            local=relay_to,
            direct=options.direct_routing,
        )
        super().__init__(NetworkTable(database), drivers, namespaces, teardown, background, publishing)
        self._options = options
        self._events = events
        self._nft = nft
        self._firewall = firewall
        self._creating = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(
        cls, database: Database, exec_root: Path, options: NetworkOptions | None = None, events: Events | None = None
    ) -> Networks:
        """Load what is stored and bring up every network. `exec_root` is the daemon's own, on tmpfs.

        The database must know `NETWORK_SCHEMA`. Raises `HostFailure` or `Unsupported` when the kernel or a library
        refuses. Containers' places are neither checked nor repaired before `reconcile`.
        """
        await workers.quick((exec_root / "netns").mkdir, parents=True, exist_ok=True)
        options = options or NetworkOptions()
        nft = Nft() if options.firewall else None
        self = cls(database, exec_root, options, nft, events)
        async with UndoStack() as undo:
            undo.push_undo(self.aclose)
            networks, sandboxes = await self._table.load()
            self._networks = {network.name: network for network in networks}
            self._sandboxes = {sandbox.container_id: sandbox for sandbox in sandboxes}
            async with subnet_claim():
                await self._bridge.collect_bridges(networks)
                await self._ensure_defaults()
                self._recall_ports()
                await self._make_all()
            undo.release()
        return self

    def add_driver(self, driver: NetworkDriver) -> None:
        """Take up a further kind of network (a cluster's overlay), before `open` has loaded networks of it or after."""
        self._drivers[driver.name] = driver

    # -- the verbs ------------------------------------------------------------------------------------------------

    async def create(self, request: NetworkRequest) -> Network:
        """Make a network. Raises `Invalid`, `Forbidden`, `NotFound` (driver), `Conflict` (name), `Unavailable`, `Unsupported`.

        A failed or cancelled call leaves nothing.
        """
        defaults = self._options.default_options
        if not request.config_from and not request.config_only:
            request = planning.with_defaults(request, defaults)
        planning.check(request, self._drivers)
        if request.config_from:
            request = planning.with_defaults(self._configured(request), defaults)
        kind = request.driver or "bridge"
        driver = self._drivers.get(kind)
        if kind == "host":
            raise Forbidden('only one instance of "host" network is allowed')
        if driver is None:
            raise NotFound(f'could not find plugin {kind} in v1 plugin registry: plugin "{kind}" not found')
        async with self._creating:
            if request.name in self._networks:
                raise Conflict(f"network with name {request.name} already exists")
            network = await self._create(request, driver)
        await self._tell("create", network)
        return network

    async def _create(self, request: NetworkRequest, driver: NetworkDriver) -> Network:
        async with subnet_claim(), UndoStack() as undo:
            host = await self._namespaces.run(lambda: HostView(self._namespaces))
            network = self._planned(request, driver, host)
            if network.link in self._teardown.going:  # one of that name goes first
                await self._teardown.settle()
            undo.push_undo(self._forget_network, network)
            faults.point("network.create")
            await self._table.save_network(network)
            if not network.config_only:
                undo.push_undo(driver.delete, network)
                await driver.create(network)
            self._networks[network.name] = network
            undo.release()
        return network

    async def remove(self, reference: str) -> None:
        """Remove a network. Raises `NotFound`, `Forbidden` for a predefined one or one with containers on it."""
        network = self.get(reference)
        if network.predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        if users := self._users_of(network):
            raise Forbidden(f"error while removing network: network {network.name} has active endpoints ({users})")
        if any(other.config_from == network.name for other in self._networks.values()):
            raise Forbidden(f"configuration network {network.name!r} is in use")
        await self._remove(network)

    async def prune(self, chosen: Callable[[Network], bool]) -> list[str]:
        """Remove the networks that nobody uses, of those `chosen`; their names."""
        removed = []
        for network in sorted(self._networks.values(), key=lambda network: network.created_ns):
            if network.predefined or self._users_of(network) or not chosen(network):
                continue
            if any(other.config_from == network.name for other in self._networks.values()):
                continue
            try:
                await self._remove(network)
            except DockwrightError as error:
                log.warning("network %s: %s", network.name, error)
                continue
            removed.append(network.name)
        return removed

    async def _remove(self, network: Network) -> None:
        # Out of the index in the same step as the check: nobody joins it from here on.
        del self._networks[network.name]
        faults.point("network.remove")
        await self._table.delete_network(network.id)
        if not network.config_only:
            await self._drivers[network.driver].delete(network)
        await self._tell("destroy", network)

    def networks(self) -> tuple[Network, ...]:
        """Every network."""
        return tuple(self._networks.values())

    # -- the daemon's life -----------------------------------------------------------------------------------------

    async def reconcile(self, live: set[str]) -> list[str]:
        """Make the kernel agree with what is stored; call once, after `open`, before anything else.

        `live` are the containers whose processes run: their namespaces, links and ports are kept and repaired; the
        places of others are given up, and so is whatever a dead daemon left behind. Returns warnings for a person.
        """
        warnings: list[str] = []
        kept = [sandbox for sandbox in self._sandboxes.values() if sandbox.container_id in live]
        for sandbox in kept:
            warnings += await self._adopt(sandbox)
        for network in self._made():
            mine = [endpoint for sandbox in kept if (endpoint := sandbox.on(network.id))]
            await self._drivers[network.driver].collect(network, mine)
        for sandbox in list(self._sandboxes.values()):
            if sandbox.container_id not in live:
                await self.detach(sandbox.container_id)
        for name in await workers.quick(self._namespaces.names) - {sandbox.handle for sandbox in kept}:
            await workers.quick(self._namespaces.remove, name)
        default = self._networks.get(DEFAULT_NETWORK)
        if default is not None:
            self._bridge.start_preparing(default)
        for warning in await self.warnings():
            log.warning("%s", warning)
        return warnings

    async def repair(self) -> None:
        """Make bridges, rules, links, ports and names right again while containers run, after somebody flushed or deleted them.

        Raises `HostFailure` for what cannot be mended (a namespace that is gone); the rest is mended first.
        """
        failure: HostFailure | None = None
        await self._make_all()
        for sandbox in list(self._sandboxes.values()):
            try:
                await self._real.realize(sandbox)
            except HostFailure as error:
                failure = failure or error
        if failure is not None:
            raise failure

    async def warnings(self) -> tuple[str, ...]:
        """What a person should know about this host, each with what helps."""
        if self._nft is None or self._firewall is None or not self._firewall.bridges:
            return ()
        warning = await forward_drop_warning(self._nft, self._firewall.bridges)
        return (warning,) if warning else ()

    async def aclose(self) -> None:
        """End background work and let prepared namespaces go; connected containers stay connected.

        Bridges with no container on them go too: a stopped daemon leaves nothing. Safe to call twice.
        """
        if self._closed:
            return
        self._closed = True
        self._real.close()
        for driver in self._drivers.values():
            await driver.aclose()
        for network in self._made():
            if not self._users_of(network):
                await self._quietly(self._drivers[network.driver].delete(network), network)
        await self._publishing.aclose()
        await self._teardown.settle()
        await self._background.aclose()
        await workers.quick(self._namespaces.close)
        if self._nft is not None:
            await workers.quick(self._nft.close)

    # -- the rest -------------------------------------------------------------------------------------------------

    def _planned(self, request: NetworkRequest, driver: NetworkDriver, host: HostView) -> Network:
        link = request.options.get("com.docker.network.bridge.name", "")
        taken = host.taken(except_links=[link, *self._teardown.going])
        others = (other for other in self._networks.values() if not other.config_only)
        taken += [subnet.network for other in others for subnet in other.subnets]
        if request.config_only:
            subnets = request.subnets
        else:
            subnets = planning.subnets(request, self._options.address_pools, taken, request.families)
        network = Network(
            id=new_id(),
            name=request.name,
            driver=request.driver or "bridge",
            created_ns=time.time_ns(),
            subnets=subnets,
            owns_link=link not in host.links if link else True,
            mtu=self._options.mtu or host.mtu,
            internal=request.internal,
            attachable=request.attachable,
            ipv4=request.families[4],
            ipv6=request.families[6],
            ipam_driver=request.ipam_driver or "default",
            config_only=request.config_only,
            config_from=request.config_from,
            options=request.options,
            labels=request.labels,
        )
        if request.config_only:
            return replace(network, driver="null")
        network = driver.plan(network)
        planning.check_mtu(network)
        if network.driver == "bridge" and any(other.link == network.link for other in self._networks.values()):
            raise Conflict(f"bridge name {network.link} is already used by another network")
        return network

    def _configured(self, request: NetworkRequest) -> NetworkRequest:
        """The request with what its configuration network says."""
        source = self._networks.get(request.config_from)
        if source is None:
            raise NotFound(f"network {request.config_from} not found")
        if not source.config_only:
            raise Forbidden(f"{request.config_from} is not a configuration network")
        return NetworkRequest(
            name=request.name,
            driver=request.driver,
            subnets=source.subnets,
            internal=source.internal,
            attachable=request.attachable,
            ipv4=source.ipv4,
            ipv6=source.ipv6,
            ipam_driver=source.ipam_driver,
            config_from=request.config_from,
            options=source.options,
            labels={**source.labels, **request.labels},
        )

    async def _make_all(self) -> None:
        """Every network's part of the kernel; one that cannot be made is told in the log and left out."""
        for network in self._networks.values():
            if not network.config_only and network.driver not in self._drivers and network.driver != "host":
                log.warning("network %s: its driver %s is not known here", network.name, network.driver)
        if self._firewall is None:
            await self._make_each()
            return
        async with self._firewall.gathered():
            await self._make_each()

    async def _make_each(self) -> None:
        for network in list(self._made()):
            making = self._drivers[network.driver].create(network, self._endpoints_of(network))
            if network.predefined:
                await making
            else:
                await self._quietly(making, network)

    async def _ensure_defaults(self) -> None:
        for name, driver in (("host", "host"), ("none", "null")):
            if name not in self._networks:
                await self._save(Network(new_id(), name, driver, time.time_ns()))
        if self._options.bridge == "none":
            return
        stored = self._networks.get(DEFAULT_NETWORK)
        if stored is not None and self._endpoints_of(stored):
            self._warn_of_change(stored)  # containers hold addresses of it: it stays as it is until they have ended
            return
        host = await self._namespaces.run(lambda: HostView(self._namespaces))
        await self._save(plan_default(self._options, host, stored))

    def _warn_of_change(self, stored: Network) -> None:
        wanted, subnet = self._options, stored.subnets[0].subnet
        other4 = wanted.bip is not None and str(wanted.bip.network) != subnet
        wanted6 = wanted.bip6.network if wanted.bip6 else wanted.fixed_cidr_v6
        stored6 = next((subnet.subnet for subnet in stored.of_version(6)), "")
        other6 = wanted.ipv6 != bool(stored6) or (wanted6 is not None and str(wanted6) != stored6)
        if stored.link != wanted.bridge or other4 or other6:
            log.warning("bridge %s (%s) stays as it is while containers are connected", stored.link, subnet)

    async def _save(self, network: Network) -> None:
        await self._table.save_network(network)
        self._networks[network.name] = network

    async def _forget_network(self, network: Network) -> None:
        self._networks.pop(network.name, None)
        await self._table.delete_network(network.id)

    async def _quietly(self, work: Awaitable[None], network: Network) -> None:
        try:
            await work
        except (HostFailure, Unsupported, Invalid, NotFound) as error:
            log.warning("network %s: %s", network.name, error)

    async def _tell(self, action: str, network: Network) -> None:
        if self._events is not None:
            await self._events.publish("network", action, network.id, name=network.name, type=network.driver)

    def _made(self) -> Iterable[Network]:
        """The networks that have a part in the kernel."""
        return [n for n in self._networks.values() if not n.config_only and n.driver in self._drivers]

    def _endpoints_of(self, network: Network) -> list[Endpoint]:
        return [endpoint for sandbox in self._sandboxes.values() if (endpoint := sandbox.on(network.id))]

    def on(self, network: Network) -> list[tuple[Sandbox, Endpoint]]:
        """Who is on a network: what `inspect` shows as its containers."""
        return [(sandbox, endpoint) for sandbox in self._sandboxes.values() if (endpoint := sandbox.on(network.id))]
