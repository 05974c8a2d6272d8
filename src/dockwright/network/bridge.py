"""The bridge driver: a Linux bridge, a veth pair an endpoint, addresses from a subnet, a table of packet filter rules."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dockwright import faults, workers
from dockwright.errors import HostFailure, Invalid
from dockwright.network import conntrack
from dockwright.network.firewall import Bridge, Firewall, Mapping
from dockwright.network.ipam import Addresses, mac_for
from dockwright.network.model import AttachRequest, Endpoint, Network, PublishedPort, new_id, parse_mac
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink
from dockwright.network.nft import Nft
from dockwright.network.options import NetworkOptions
from dockwright.network.ports import HostPorts
from dockwright.network.prepared import Prepared
from dockwright.network.relay import Relay
from dockwright.network.teardown import Remains, Teardown, delete_links
from dockwright.tasks import Background
from dockwright.undo import shielded

log = logging.getLogger(__name__)

VETH_PREFIX = "dwv"
CONTAINER_INTERFACE = "eth0"
_SYSCTL = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True)
class Ready:
    """A namespace with lo up and an addressed, routed interface whose other end is on the bridge."""

    sandbox: str
    link: str
    ip: ipaddress.IPv4Address


@dataclass(slots=True)
class _State:
    network: Network
    index: int
    addresses: Addresses
    firewall: Firewall | None
    prepared: Prepared[Ready] | None = None
    #: Endpoints whose address and ports are held in memory.
    held: set[str] = field(default_factory=set)
    #: Endpoints whose link was made by this process and needs no comparing with the kernel.
    fresh: set[str] = field(default_factory=set)
    published: dict[str, tuple[Mapping, ...]] = field(default_factory=dict)


class BridgeDriver:
    """`NetworkDriver` on Linux bridges."""

    name = "bridge"

    def __init__(
        self,
        options: NetworkOptions,
        namespaces: Namespaces,
        nft: Nft | None,
        teardown: Teardown,
        background: Background,
    ) -> None:
        """`nft` None: no packet filter; published ports are relayed."""
        self._options = options
        self._namespaces = namespaces
        self._nft = nft
        self._teardown = teardown
        self._background = background
        self._ports = HostPorts(
            default_ip=str(options.host_binding_ip), ipv6=options.relay and Path("/proc/net/if_inet6").exists()
        )
        self._relay = Relay(background)
        self._states: dict[str, _State] = {}

    # -- networks -------------------------------------------------------------------------------------------------

    async def create(self, network: Network, endpoints: Sequence[Endpoint] = ()) -> None:
        """See `NetworkDriver.create`."""
        faults.point("network.bridge")
        index = await self._namespaces.run(lambda: self._make_bridge(network))
        await workers.quick(_tune_bridge, network.link, self._options.ip_forward and not network.internal)
        state = self._states.get(network.id)
        if state is None:
            state = self._states[network.id] = self._new_state(network, index)
        state.index = index
        for endpoint in endpoints:
            state.fresh.discard(endpoint.endpoint_id)
            state.published.setdefault(endpoint.endpoint_id, self._direct(endpoint))
        if state.firewall is not None:
            faults.point("network.table")
            await state.firewall.rebuild(m for mappings in state.published.values() for m in mappings)

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        state = self._states.pop(network.id, None)
        if state is not None:
            await self._discard(state)
        if self._nft is not None:
            await Firewall(self._nft, _rules(network)).remove()
        if network.owns_link:
            await self._namespaces.run(lambda: self._delete_bridge(network))

    def start_preparing(self, network: Network) -> None:
        """Keep `options.prepared` namespaces ready on this network (at most a quarter of its addresses)."""
        state = self._states[network.id]
        if state.prepared is None:
            target = min(self._options.prepared, state.addresses.free // 4)
            state.prepared = Prepared(lambda: self._make_ready(state), target, self._background)

    # -- endpoints ------------------------------------------------------------------------------------------------

    async def reserve(self, network: Network, container_id: str, request: AttachRequest) -> Endpoint:
        """See `NetworkDriver.reserve`; a link and namespace come from the prepared ones where they exist."""
        if request.ipv4_address:
            raise Invalid("user specified IP address is supported on user defined networks only")
        mac = parse_mac(request.mac_address) if request.mac_address else ""
        state = self._states[network.id]
        ports = self._ports.reserve(request.ports)
        try:
            faults.point("network.reserve")
            ready = await (state.prepared.take() if state.prepared is not None else self._make_ready(state))
        except BaseException:
            self._ports.release(ports)
            raise
        endpoint = Endpoint(
            container_id=container_id,
            container_name=request.name,
            network_id=network.id,
            endpoint_id=new_id(),
            sandbox=ready.sandbox,
            interface=CONTAINER_INTERFACE,
            link=ready.link,
            mac=mac or mac_for(ready.ip),
            address=f"{ready.ip}/{state.addresses.subnet.prefixlen}",
            gateway=network.default_route or network.gateway,
            ports=ports,
        )
        state.held.add(endpoint.endpoint_id)
        state.fresh.add(endpoint.endpoint_id)
        return endpoint

    async def attach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.attach`."""
        state = self._states[network.id]
        faults.point("network.link")
        fresh = endpoint.endpoint_id in state.fresh
        if not fresh or endpoint.mac != mac_for(endpoint.ip):
            await self._namespaces.run(lambda: self._connect(state, endpoint))
        if endpoint.ports:
            faults.point("network.publish")
            await self._publish(state, endpoint)

    async def detach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.detach`."""
        state = self._states[network.id]
        state.fresh.discard(endpoint.endpoint_id)
        faults.point("network.withdraw")
        held = endpoint.endpoint_id in state.held
        # Without a record of publishing, but held: an attach that was cut short may have published.
        mappings = state.published.get(endpoint.endpoint_id) or (self._direct(endpoint) if held else ())
        if mappings and state.firewall is not None:
            await state.firewall.withdraw(mappings)
            await workers.quick(conntrack.forget, _ports_of(mappings))
        state.published.pop(endpoint.endpoint_id, None)
        self._relay.stop(endpoint.endpoint_id)
        if not held:
            self._teardown.add(Remains(endpoint.link, endpoint.sandbox))
            return
        # Given back once: run again, this must not take address and ports from who has them by then.
        state.held.discard(endpoint.endpoint_id)
        self._ports.release(endpoint.ports)
        self._teardown.add(
            Remains(endpoint.link, endpoint.sandbox, lambda: state.addresses.release(endpoint.ip)),
        )

    async def adopt(self, network: Network, endpoint: Endpoint) -> list[str]:
        """See `NetworkDriver.adopt`."""
        state = self._states[network.id]
        if endpoint.endpoint_id not in state.held:
            state.addresses.claim(endpoint.ip)
            state.held.add(endpoint.endpoint_id)
        return self._ports.adopt(endpoint.ports)

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
                    if link.master == state.index and link.name.startswith(VETH_PREFIX) and link.name not in keep
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
        await self._relay.aclose()
        await self._teardown.settle()
        self._ports.close()

    # -- the kernel: these run in the namespace thread ---------------------------------------------------------------

    def _make_bridge(self, network: Network) -> int:
        self._namespaces.enter_host()
        with Netlink() as netlink:
            link = netlink.link(network.link)
            if link is None:
                mac = "02:42:" + secrets.token_bytes(4).hex(":")
                netlink.create_bridge(network.link, mac=mac, mtu=network.mtu)
                link = netlink.link(network.link)
            if link is None or link.kind != "bridge":
                raise HostFailure(f"{network.link} exists and is no bridge")
            prefix = ipaddress.IPv4Network(network.subnet).prefixlen
            netlink.add_address(link.index, ipaddress.IPv4Interface(f"{network.gateway}/{prefix}"))
            if not link.up:
                netlink.set_up(link.index)
            return link.index

    def _delete_bridge(self, network: Network) -> None:
        self._namespaces.enter_host()
        with Netlink() as netlink:
            netlink.delete_link(network.link)

    def _prepare(self, state: _State, ip: ipaddress.IPv4Address) -> Ready:
        link = VETH_PREFIX + secrets.token_hex(5)
        sandbox = self._namespaces.create()
        try:
            with Netlink() as inner:
                inner.set_up(1)
                self._connect_inside(state, inner, sandbox, link, mac_for(ip), ip)
        except HostFailure:
            self._namespaces.remove(sandbox)
            raise
        return Ready(sandbox, link, ip)

    def _connect(self, state: _State, endpoint: Endpoint) -> None:
        """Compare one endpoint with the kernel and repair it. Raises `HostFailure` when its namespace is gone."""
        if not self._namespaces.alive(endpoint.sandbox):
            raise HostFailure(f"network namespace {self._namespaces.path(endpoint.sandbox)} is gone")
        self._namespaces.enter(endpoint.sandbox)
        with Netlink() as inner:
            inside = inner.link(endpoint.interface)
            if inside is None:
                self._connect_inside(state, inner, endpoint.sandbox, endpoint.link, endpoint.mac, endpoint.ip)
                return
            if inside.mac != endpoint.mac:
                inner.set_mac(inside.index, endpoint.mac)

    def _connect_inside(
        self,
        state: _State,
        inner: Netlink,
        sandbox: str,
        link: str,
        mac: str,
        ip: ipaddress.IPv4Address,
    ) -> None:
        network = state.network
        fd = os.open(self._namespaces.path(sandbox), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._namespaces.enter_host()
            with Netlink() as netlink:
                netlink.create_veth(
                    link, peer=CONTAINER_INTERFACE, peer_netns_fd=fd, bridge=state.index, mtu=network.mtu, peer_mac=mac
                )
                self._set_port(netlink, network, link)
        finally:
            os.close(fd)
        self._namespaces.enter(sandbox)
        _write_sysctl(_SYSCTL / "ipv6/conf" / CONTAINER_INTERFACE / "disable_ipv6", "1")
        inside = inner.link(CONTAINER_INTERFACE)
        if inside is None:
            raise HostFailure(f"{CONTAINER_INTERFACE} did not appear in {sandbox}")
        inner.add_address(inside.index, ipaddress.IPv4Interface(f"{ip}/{state.addresses.subnet.prefixlen}"))
        inner.set_up(inside.index)
        if not network.internal:
            inner.add_default_route(ipaddress.IPv4Address(network.default_route or network.gateway))

    def _set_port(self, netlink: Netlink, network: Network, link: str) -> None:
        hairpin = _frames_pass_the_filter()
        if network.icc and not hairpin:
            return
        outside = netlink.link(link)
        if outside is None:
            raise HostFailure(f"{link} did not appear")
        if not network.icc:
            netlink.set_isolated(outside.index)
        if hairpin:
            netlink.set_hairpin(outside.index)

    # -- the rest -------------------------------------------------------------------------------------------------

    async def _make_ready(self, state: _State) -> Ready:
        ip = state.addresses.take()
        made: list[Ready] = []

        async def make() -> None:
            made.append(await self._namespaces.run(lambda: self._prepare(state, ip)))

        try:
            await shielded(make())
        except BaseException:
            if made:  # cancelled, but the thread had ended its work
                self._bury(state, made[0])
            else:
                state.addresses.release(ip)
            raise
        return made[0]

    def _bury(self, state: _State, ready: Ready) -> None:
        self._teardown.add(Remains(ready.link, ready.sandbox, lambda: state.addresses.release(ready.ip)))

    async def _publish(self, state: _State, endpoint: Endpoint) -> None:
        direct = self._direct(endpoint)
        if direct and state.firewall is not None:
            state.published[endpoint.endpoint_id] = direct
            await state.firewall.publish(direct)
            await workers.quick(conntrack.forget, _ports_of(direct))
        if self._relay.serves(endpoint.endpoint_id):
            return
        for port in endpoint.ports:
            held = self._ports.socket(port)
            if self._relayed(port) and held is not None:
                self._relay.start(endpoint.endpoint_id, port.protocol, held, (str(endpoint.ip), port.container_port))

    def _direct(self, endpoint: Endpoint) -> tuple[Mapping, ...]:
        """What the kernel translates."""
        return tuple(_mapping(endpoint, port) for port in endpoint.ports if not self._relayed(port))

    def _relayed(self, port: PublishedPort) -> bool:
        return port.relayed or self._nft is None

    def _new_state(self, network: Network, index: int) -> _State:
        subnet = ipaddress.IPv4Network(network.subnet)
        within = ipaddress.IPv4Network(network.ip_range) if network.ip_range else None
        routers = {network.gateway, network.default_route or network.gateway}
        addresses = Addresses(subnet, within=within, reserved=[ipaddress.IPv4Address(router) for router in routers])
        firewall = Firewall(self._nft, _rules(network)) if self._nft is not None else None
        return _State(network, index, addresses, firewall)

    async def _discard(self, state: _State) -> None:
        if state.prepared is None:
            return
        for ready in await state.prepared.stop():
            self._bury(state, ready)


def _rules(network: Network) -> Bridge:
    return Bridge(
        network.link,
        (ipaddress.IPv4Network(network.subnet),),
        masquerade=network.masquerade,
        icc=network.icc,
        internal=network.internal,
    )


def _mapping(endpoint: Endpoint, port: PublishedPort) -> Mapping:
    return Mapping(port.protocol, ipaddress.ip_address(port.host_ip), port.host_port, endpoint.ip, port.container_port)


def _frames_pass_the_filter() -> bool:
    """br_netfilter: a container's packet to its own published port is then translated inside the bridge, and has to leave
    through the port it came in by."""
    try:
        return (_SYSCTL / "bridge/bridge-nf-call-iptables").read_text().strip() == "1"
    except FileNotFoundError:
        return False


def _ports_of(mappings: tuple[Mapping, ...]) -> list[tuple[str, int]]:
    return [(mapping.protocol, mapping.host_port) for mapping in mappings]


def _tune_bridge(link: str, forward: bool) -> None:
    """`route_localnet` lets 127.0.0.1 reach published ports; the table's guard chain keeps the way back shut."""
    _write_sysctl(_SYSCTL / "ipv4/conf" / link / "route_localnet", "1")
    _write_sysctl(_SYSCTL / "ipv6/conf" / link / "disable_ipv6", "1")
    if forward:
        _write_sysctl(_SYSCTL / "ipv4/ip_forward", "1")


def _write_sysctl(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except FileNotFoundError:
        pass  # a kernel without IPv6
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise HostFailure(f"{path}: {os.strerror(error.errno or 0).lower()}") from error
        log.warning("%s: %s", path, error.strerror)
