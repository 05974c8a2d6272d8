"""The bridge driver: a Linux bridge, a veth pair an endpoint, addresses from subnets, a place in the packet filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from dockwright import faults, workers
from dockwright.errors import Invalid
from dockwright.network import firewall
from dockwright.network.driver import Seat
from dockwright.network.drivers import settings as options
from dockwright.network.drivers.held import Held
from dockwright.network.drivers.settings import BridgeSettings
from dockwright.network.drivers.veth import PREFIX, Pairs, new_link, tune_host
from dockwright.network.ipam import Lease, Leases, mac_for
from dockwright.network.model import Endpoint, Network, new_id, parse_mac
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink
from dockwright.network.options import NetworkOptions
from dockwright.network.prepared import Prepared
from dockwright.network.teardown import Remains, Teardown, delete_links
from dockwright.tasks import Background
from dockwright.undo import shielded

#: How many namespaces are kept ready on a network of one's own, and on how many such networks.
_OWN_STOCK, _STOCKED_NETWORKS = 2, 8


@dataclass(frozen=True, slots=True)
class Bare:
    """A namespace with a link on a bridge: nobody's yet, and without addresses."""

    sandbox: str
    link: str


@dataclass(slots=True)
class _State:
    network: Network
    settings: BridgeSettings
    index: int
    leases: Leases
    held: Held
    #: Namespaces with a link on the bridge, and nobody's addresses yet.
    prepared: Prepared[Bare] | None = None


class BridgeDriver:
    """`NetworkDriver` on Linux bridges."""

    name = "bridge"

    def __init__(
        self,
        options: NetworkOptions,
        namespaces: Namespaces,
        filter_: firewall.Firewall | None,
        teardown: Teardown,
        background: Background,
    ) -> None:
        """`filter_` None: no packet filter; published ports are relayed, and nothing is masqueraded."""
        self._options = options
        self._namespaces = namespaces
        self._filter = filter_
        self._teardown = teardown
        self._background = background
        self._pairs = Pairs(namespaces, f"dockwright of {options.bridge}")
        self._states: dict[str, _State] = {}
        #: Networks of one's own with prepared namespaces, the least recently joined first.
        self._stocked: dict[str, None] = {}

    # -- networks -------------------------------------------------------------------------------------------------

    def plan(self, network: Network) -> Network:
        """See `NetworkDriver.plan`."""
        settings = BridgeSettings.of(network)
        for version in (4, 6):
            if settings.modes[version] == "routed" and network.internal:
                raise Invalid("gateway mode 'routed' makes no sense for an internal network")
        name = network.options.get(options.NAME, "")
        return replace(
            network,
            link=options.link_name(options.NAME, name) if name else network.link or f"br-{network.id[:12]}",
            mtu=options.mtu(network.options, network.mtu),
            subnets=tuple(
                subnet if settings.has_gateway(subnet.network.version) else replace(subnet, gateway="")
                for subnet in network.subnets
            ),
        )

    async def create(self, network: Network, endpoints: Sequence[Endpoint] = ()) -> None:
        """See `NetworkDriver.create`."""
        faults.point("network.bridge")
        settings = BridgeSettings.of(network)
        index = await self._namespaces.run(lambda: self._pairs.make_bridge(network, settings))
        forward = self._options.ip_forward and not network.internal
        forward6 = forward and bool(network.of_version(6))
        await workers.quick(tune_host, network.link, forward=forward, forward6=forward6)
        state = self._states.get(network.id)
        if state is None:
            leases = Leases(network)
            state = self._states[network.id] = _State(network, settings, index, leases, Held(leases))
        state.index = index
        if self._filter is not None:
            faults.point("network.table")
            await self._filter.add_bridge(_rules(network, settings, self._options))

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        state = self._states.pop(network.id, None)
        self._stocked.pop(network.id, None)
        if state is not None:
            await self._discard(state)
        if self._filter is not None:
            faults.point("network.untable")
            await self._filter.remove_bridge(network.link)
        if network.owns_link:
            # Nothing is on it any more: the interface goes together with whatever else is going.
            self._teardown.add(Remains(network.link))

    async def collect_bridges(self, networks: Iterable[Network]) -> None:
        """Delete what a daemon that died in the middle of a removal left of networks that are no more."""
        known = frozenset(network.link for network in networks)
        await self._namespaces.run(lambda: self._pairs.delete_strays(known))

    def start_preparing(self, network: Network) -> None:
        """Keep `options.prepared` namespaces ready on this network."""
        self._prepare(self._states[network.id], self._options.prepared)

    # -- endpoints ------------------------------------------------------------------------------------------------

    async def reserve(self, network: Network, seat: Seat) -> Endpoint:
        """See `NetworkDriver.reserve`; a namespace with its link comes from the prepared ones where it can."""
        options.check_endpoint(seat.join.options)
        _check_addresses(network, seat)
        state = self._states[network.id]
        faults.point("network.reserve")
        decided = self._decide(state, seat)
        if not seat.sandbox:
            try:
                bare = await self._bare(state, decided.interface)
            except BaseException:
                state.leases.release(*decided.interfaces)
                raise
            decided = replace(decided, sandbox=bare.sandbox, link=bare.link)
        state.held.add(decided)
        return decided

    async def attach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.attach`."""
        state = self._states[network.id]
        faults.point("network.link")
        connect = self._pairs.connect
        await self._namespaces.run(lambda: connect(state.index, state.network, state.settings, endpoint))

    async def detach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.detach`."""
        state = self._states[network.id]
        faults.point("network.withdraw")
        if state.held.forget(endpoint):
            self._teardown.add(Remains(endpoint.link, done=lambda: state.leases.release(*endpoint.interfaces)))
        else:
            self._teardown.add(Remains(endpoint.link))

    async def adopt(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.adopt`."""
        self._states[network.id].held.adopt(endpoint)

    async def collect(self, network: Network, kept: list[Endpoint]) -> None:
        """See `NetworkDriver.collect`."""
        state = self._states[network.id]
        keep = {endpoint.link for endpoint in kept}

        def sweep() -> None:
            self._namespaces.enter_host()
            with Netlink() as netlink:
                names = [
                    link.name
                    for link in netlink.links()
                    if link.master == state.index and link.name.startswith(PREFIX) and link.name not in keep
                ]
                delete_links(netlink, names)

        await self._namespaces.run(sweep)

    async def settle(self) -> None:
        """See `NetworkDriver.settle`."""
        await self._teardown.settle()

    async def aclose(self) -> None:
        """See `NetworkDriver.aclose`."""
        for state in self._states.values():
            await self._discard(state)
        await self._teardown.settle()

    # -- the rest -------------------------------------------------------------------------------------------------

    def _decide(self, state: _State, seat: Seat) -> Endpoint:
        """An endpoint with addresses and names, and nothing of it in the kernel yet."""
        lease = state.leases.take(seat.join.ipv4_address, seat.join.ipv6_address)
        try:
            interface = options.interface_name(seat.join.options, state.settings.interface_prefix, seat.taken)
        except Invalid:
            state.leases.release(*lease.interfaces)
            raise
        return _endpoint(state.network, seat, lease, interface)

    async def _bare(self, state: _State, interface: str) -> Bare:
        """A namespace with a link of this name on the bridge, from the stock where it has some."""
        if interface != _usual(state):
            return await self._make_bare(state, interface)
        if not state.network.predefined:
            self._stock(state)
        return await (state.prepared.take() if state.prepared is not None else self._make_bare(state, interface))

    def _stock(self, state: _State) -> None:
        """Who joined a network of his own just now may do so again: keep some ready there, and none where it is long ago."""
        self._stocked.pop(state.network.id, None)
        self._stocked[state.network.id] = None
        self._prepare(state, min(_OWN_STOCK, self._options.prepared))
        if len(self._stocked) > _STOCKED_NETWORKS:
            oldest = next(iter(self._stocked))
            del self._stocked[oldest]
            self._background.start(self._discard(self._states[oldest]), name="let prepared namespaces go")

    def _prepare(self, state: _State, target: int) -> None:
        if state.prepared is None:
            state.prepared = Prepared(lambda: self._make_bare(state, _usual(state)), target, self._background)

    async def _make_bare(self, state: _State, interface: str) -> Bare:
        link, made = new_link(), list[str]()

        async def make() -> None:
            made_in = self._pairs.make_sandbox
            made.append(
                await self._namespaces.run(lambda: made_in(state.index, state.network, state.settings, link, interface))
            )

        try:
            await shielded(make())
        except BaseException:
            if made:  # cancelled, but the thread had ended its work
                self._teardown.add(Remains(link, made[0]))
            raise
        return Bare(made[0], link)

    async def _discard(self, state: _State) -> None:
        prepared, state.prepared = state.prepared, None
        if prepared is not None:
            for bare in await prepared.stop():
                self._teardown.add(Remains(bare.link, bare.sandbox))


def _usual(state: _State) -> str:
    """What a container's first link is called."""
    return options.interface_name({}, state.settings.interface_prefix, frozenset())


def _endpoint(network: Network, seat: Seat, lease: Lease, interface: str) -> Endpoint:
    return Endpoint(
        container_id=seat.container_id,
        container_name=seat.container_name,
        network_id=network.id,
        endpoint_id=new_id(),
        sandbox=seat.sandbox,
        interface=interface,
        link=new_link(),
        mac=parse_mac(seat.join.mac_address) if seat.join.mac_address else mac_for(lease.v4.ip if lease.v4 else None),
        address=str(lease.v4 or ""),
        gateway=lease.gateway,
        address6=str(lease.v6 or ""),
        gateway6=lease.gateway6,
        join=seat.join,
    )


def _check_addresses(network: Network, seat: Seat) -> None:
    """Raises `Invalid` for fixed addresses where the network's own were picked by the engine."""
    wanted = {4: seat.join.ipv4_address, 6: seat.join.ipv6_address}
    if not any(wanted.values()):
        return
    if network.predefined:
        raise Invalid("user specified IP address is supported on user defined networks only")
    for version, address in wanted.items():
        subnets = network.of_version(version)
        if address and (not subnets or all(subnet.picked for subnet in subnets)):
            raise Invalid(
                "invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks "
                "with user configured subnets"
            )


def _rules(network: Network, settings: BridgeSettings, chosen: NetworkOptions) -> firewall.Bridge:
    return firewall.Bridge(
        network.link,
        tuple(subnet.network for subnet in network.subnets),
        masquerade=settings.masquerade,
        icc=settings.icc,
        internal=network.internal,
        modes=settings.modes,
        sources=settings.sources,
        trusted=settings.trusted,
        direct=chosen.direct_routing,
        limited=bool(chosen.publish_from),
        mark=chosen.accept_mark,
    )
