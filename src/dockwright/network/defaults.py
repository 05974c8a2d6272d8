"""The default bridge, decided from the daemon's options, what is stored, and what the host has."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable

from dockwright.errors import Invalid
from dockwright.network.drivers import settings
from dockwright.network.ipam import pick_subnet
from dockwright.network.model import Address, Interface, IpNetwork, Network, Subnet, new_id
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Link, Netlink
from dockwright.network.options import NetworkOptions

DEFAULT_NETWORK = "bridge"
ETHERNET_MTU = 1500


class HostView:
    """What the host has: links, and which networks it knows a way to. Made in the namespace thread."""

    def __init__(self, namespaces: Namespaces) -> None:
        namespaces.enter_host()
        with Netlink() as netlink:
            self._addresses, self._routes = netlink.addresses(), netlink.routes()
            self.links = {link.name: link for link in netlink.links()}

    def taken(self, *, except_links: Iterable[str] = ()) -> list[IpNetwork]:
        """The networks of routes and addresses, those of some links left out."""
        own = {self.links[name].index for name in except_links if name in self.links}
        found = [r.destination for r in self._routes if r.destination is not None and r.device not in own]
        return found + [address.network for index, address in self._addresses if index not in own]

    def address_of(self, link: Link) -> ipaddress.IPv4Interface | None:
        """The first IPv4 address of a link."""
        return next(
            (a for index, a in self._addresses if index == link.index and isinstance(a, ipaddress.IPv4Interface)), None
        )

    @property
    def mtu(self) -> int:
        """The MTU of the default route's link, 1500 at most."""
        mtus = {link.index: link.mtu for link in self.links.values()}
        uplink = next((r.device for r in self._routes if r.destination is None and r.device in mtus), 0)
        return min(mtus.get(uplink, ETHERNET_MTU), ETHERNET_MTU)


def plan_default(options: NetworkOptions, host: HostView, stored: Network | None) -> Network:
    """The default bridge network. Raises `Invalid`, `Unavailable`."""
    link = host.links.get(options.bridge)
    kept = stored if stored is not None and stored.link == options.bridge else None
    subnets = [_subnet(_bip(options, host, kept), options.fixed_cidr, options.default_gateway)]
    if options.ipv6:
        subnets.append(_subnet(_bip6(options, host, kept), options.fixed_cidr_v6, options.default_gateway_v6))
    mtu = options.mtu or host.mtu
    return Network(
        id=stored.id if stored else new_id(),
        name=DEFAULT_NETWORK,
        driver="bridge",
        created_ns=stored.created_ns if stored else time.time_ns(),
        subnets=tuple(subnets),
        ipv6=options.ipv6,
        link=options.bridge,
        owns_link=kept.owns_link if kept and link else link is None,
        mtu=mtu,
        options={
            settings.DEFAULT_BRIDGE: "true",
            settings.ICC: str(options.icc).lower(),
            settings.MASQUERADE: str(options.ip_masquerade).lower(),
            settings.BINDING: str(options.host_binding_ip),
            settings.NAME: options.bridge,
            settings.MTU: str(mtu),
        },
    )


def _subnet(bip: Interface, within: IpNetwork | None, gateway: Address | None) -> Subnet:
    """What the bridge's own address says, with the part addresses are taken from and the gateway. Raises `Invalid`."""
    aux = {}
    if gateway is not None:
        if gateway not in bip.network:
            suffix = "" if bip.version == 4 else "-v6"
            raise Invalid(f"default-gateway{suffix} {gateway} is not inside the bridge's subnet {bip.network}")
        aux = {f"DefaultGatewayIPv{bip.version}": str(gateway)}
    return Subnet(str(bip.network), str(bip.ip), str(within or ""), aux, picked=True)


def _bip(options: NetworkOptions, host: HostView, kept: Network | None) -> ipaddress.IPv4Interface:
    link = host.links.get(options.bridge)
    found = host.address_of(link) if link is not None else None
    taken = [other for other in host.taken(except_links=[options.bridge]) if other.version == 4]
    if options.bip is not None:
        return options.bip
    if found and not (kept and kept.owns_link):
        return found
    if kept and kept.subnets and not any(kept.subnets[0].network.overlaps(other) for other in taken):
        return ipaddress.IPv4Interface(f"{kept.gateway}/{kept.subnets[0].network.prefixlen}")
    subnet = options.fixed_cidr or pick_subnet(options.address_pools, taken)
    return ipaddress.IPv4Interface(f"{subnet[1]}/{subnet.prefixlen}")


def _bip6(options: NetworkOptions, host: HostView, kept: Network | None) -> ipaddress.IPv6Interface:
    """Asked for, else what it was, else the next of the pools: a unique local subnet where they name none."""
    if options.bip6 is not None:
        return options.bip6
    if options.fixed_cidr_v6 is not None:
        return _first(options.fixed_cidr_v6)
    taken = [other for other in host.taken(except_links=[options.bridge]) if other.version == 6]
    for subnet in kept.of_version(6) if kept else ():
        if subnet.gateway and not any(subnet.network.overlaps(other) for other in taken):
            return ipaddress.IPv6Interface(f"{subnet.gateway}/{subnet.network.prefixlen}")
    return _first(pick_subnet(options.address_pools, taken, 6))


def _first(subnet: IpNetwork) -> ipaddress.IPv6Interface:
    return ipaddress.IPv6Interface(f"{subnet[1]}/{subnet.prefixlen}")
