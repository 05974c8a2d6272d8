"""Bridges and veth pairs in the kernel: what a bridge network and its endpoints are made of. Runs in the namespace thread."""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path

from dockwright.errors import HostFailure
from dockwright.network.drivers.interface import configure, write_sysctl
from dockwright.network.drivers.settings import BridgeSettings
from dockwright.network.model import Endpoint, Network
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink

PREFIX = "dwv"
_SYSCTL = Path("/proc/sys/net")


class Pairs:
    """Bridges, and pairs from bridges into namespaces."""

    def __init__(self, namespaces: Namespaces, owner: str) -> None:
        """`owner` is written on every bridge that is made: what a dead daemon left is known by it."""
        self._namespaces = namespaces
        self._owner = owner

    def make_bridge(self, network: Network, settings: BridgeSettings) -> int:
        """Make or repair the bridge; its index. Raises `HostFailure`, also when the link exists and is no bridge."""
        self._namespaces.enter_host()
        with Netlink() as netlink:
            link = netlink.link(network.link)
            if link is None:
                mac = "02:42:" + secrets.token_bytes(4).hex(":")
                netlink.create_bridge(network.link, mac=mac, mtu=network.mtu)
                link = netlink.link(network.link)
            if link is None or link.kind != "bridge":
                raise HostFailure(f"{network.link} exists and is no bridge")
            if network.owns_link and link.alias != self._owner:  # new, or its maker died before it could say so
                netlink.set_alias(link.index, self._owner)
            has_ipv6 = bool(network.of_version(6)) and settings.has_gateway(6)
            if has_ipv6:
                # While its own link-local address is being probed, for up to two seconds, it asks for nobody's address, and
                # nothing from outside reaches a container (linux, net/ipv6/ndisc.c).
                write_sysctl(_SYSCTL / "ipv6/conf" / network.link / "accept_dad", "0")
            write_sysctl(_SYSCTL / "ipv6/conf" / network.link / "disable_ipv6", "0" if has_ipv6 else "1")
            addresses = [
                ipaddress.ip_interface(f"{subnet.gateway}/{subnet.network.prefixlen}")
                for subnet in network.subnets
                if subnet.gateway and settings.has_gateway(subnet.network.version)
            ]
            for address in addresses:
                netlink.add_address(link.index, address)
            if network.predefined and network.owns_link:  # the daemon was told otherwise since the bridge was made
                for index, other in netlink.addresses():
                    if index == link.index and other not in addresses and not other.is_link_local:
                        netlink.delete_address(index, other)
            if not link.up:
                netlink.set_up(link.index)
            return link.index

    def delete_strays(self, known: frozenset[str]) -> None:
        """Delete the bridges a dead daemon of this owner made and no network has."""
        self._namespaces.enter_host()
        with Netlink() as netlink:
            for link in netlink.links():
                if link.kind == "bridge" and link.alias == self._owner and link.name not in known:
                    netlink.delete_link(link.name)

    def make_sandbox(self, bridge: int, network: Network, settings: BridgeSettings, link: str, interface: str) -> str:
        """A namespace with lo up and a link of that name in it, up and without addresses; its name. A failure leaves nothing.

        `link` is the other end, on the bridge: it forwards from here on, for the kernel takes its time to notice.
        """
        sandbox = self._namespaces.create()
        try:
            with Netlink() as inner:
                inner.set_up(1)
                self._make(bridge, network, settings, link, interface, "", sandbox)
                made = inner.link(interface)
                if made is None:
                    raise HostFailure(f"{interface} did not appear in {sandbox}")
                # Until it has addresses it is to be silent.
                write_sysctl(_SYSCTL / "ipv6/conf" / interface / "disable_ipv6", "1")
                inner.set_up(made.index)
        except BaseException:
            self._namespaces.remove(sandbox)
            self._namespaces.enter_host()  # the kernel destroys it once nobody is in it, and that is this thread
            raise
        return sandbox

    def connect(self, bridge: int, network: Network, settings: BridgeSettings, endpoint: Endpoint) -> None:
        """Compare one endpoint with the kernel and repair it. Raises `HostFailure` when its namespace is gone."""
        if not self._namespaces.alive(endpoint.sandbox):
            raise HostFailure(f"network namespace {self._namespaces.path(endpoint.sandbox)} is gone")
        self._namespaces.enter(endpoint.sandbox)
        with Netlink() as inner:
            inside = inner.link(endpoint.interface)
            if inside is None:
                name, mac = endpoint.interface, endpoint.mac
                self._make(bridge, network, settings, endpoint.link, name, mac, endpoint.sandbox)
            elif inside.mac != endpoint.mac:
                inner.set_mac(inside.index, endpoint.mac)
            if inside is None or not _addressed(inner, inside.index, endpoint):
                configure(inner, endpoint)

    def _make(
        self, bridge: int, network: Network, settings: BridgeSettings, link: str, interface: str, mac: str, sandbox: str
    ) -> None:
        fd = os.open(self._namespaces.path(sandbox), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._namespaces.enter_host()
            with Netlink() as netlink:
                netlink.create_veth(
                    link, peer=interface, peer_netns_fd=fd, bridge=bridge, mtu=network.mtu, peer_mac=mac
                )
                _set_port(netlink, settings.icc, link)
        finally:
            os.close(fd)
        self._namespaces.enter(sandbox)


def _addressed(inner: Netlink, index: int, endpoint: Endpoint) -> bool:
    """Whether a link has some address of its endpoint: one without was prepared, or its daemon died over it."""
    wanted = set(endpoint.interfaces)
    return not wanted or any(number == index and address in wanted for number, address in inner.addresses())


def _set_port(netlink: Netlink, icc: bool, link: str) -> None:
    """Without icc the port is isolated, also from what br_netfilter translates to a neighbour: the safe side of the two."""
    hairpin = _frames_pass_the_filter()
    if icc and not hairpin:
        return
    outside = netlink.link(link)
    if outside is None:
        raise HostFailure(f"{link} did not appear")
    if not icc:
        netlink.set_isolated(outside.index)
    if hairpin:
        netlink.set_hairpin(outside.index)


def _frames_pass_the_filter() -> bool:
    """br_netfilter: a container's packet to its own published port is then translated inside the bridge, and has to leave
    through the port it came in by."""
    try:
        return (_SYSCTL / "bridge/bridge-nf-call-iptables").read_text().strip() == "1"
    except FileNotFoundError:
        return False


def new_link() -> str:
    """A name for the host's end of a pair."""
    return PREFIX + secrets.token_hex(5)


def tune_host(link: str, *, forward: bool, forward6: bool) -> None:
    """`route_localnet` lets 127.0.0.1 reach published ports; the table's guard chain keeps the way back shut.

    Forwarding IPv6 makes the kernel deaf for router advertisements, from which the host may have its own default route: links
    that listened to them go on listening (linux, ip-sysctl, accept_ra 2).
    """
    write_sysctl(_SYSCTL / "ipv4/conf" / link / "route_localnet", "1")
    if forward:
        write_sysctl(_SYSCTL / "ipv4/ip_forward", "1")
    if forward6 and (_SYSCTL / "ipv6/conf/all/forwarding").read_text().strip() != "1":
        for folder in (_SYSCTL / "ipv6/conf").iterdir():
            accept = folder / "accept_ra"
            if folder.name not in ("all", "default", "lo") and accept.read_text().strip() == "1":
                write_sysctl(accept, "2")
        write_sysctl(_SYSCTL / "ipv6/conf/all/forwarding", "1")
