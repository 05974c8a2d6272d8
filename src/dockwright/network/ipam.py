"""Addresses: which subnet a network gets, and which address an endpoint gets. Decisions only; nothing here is stored."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockwright.errors import Conflict, Invalid, Unavailable
from dockwright.network.model import Address, Endpoint, Interface, IpNetwork, Network


@dataclass(frozen=True, slots=True)
class Pool:
    """Subnets of prefix length `size` are cut from `base` (daemon.json, default-address-pools)."""

    base: IpNetwork
    size: int


DEFAULT_POOLS: tuple[Pool, ...] = (
    *(Pool(ipaddress.IPv4Network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    Pool(ipaddress.IPv4Network("192.168.0.0/16"), 20),
)
_ULA_PREFIX_LENGTH = 64


def pick_subnet(pools: Sequence[Pool], taken: Iterable[IpNetwork], version: int = 4) -> IpNetwork:
    """The first subnet of the pools that overlaps none of `taken` (host routes and other networks).

    Without an IPv6 pool, IPv6 is a unique local /64 with 40 random bits (RFC 4193, 3.2). Raises `Unavailable`, in Docker's
    words, when every subnet is taken.
    """
    occupied = [other for other in taken if other.version == version]
    mine = [pool for pool in pools if pool.base.version == version]
    for pool in mine:
        for subnet in _cut(pool, occupied):
            return subnet
    if version == 6 and not mine:
        return _unique_local(occupied)
    raise Unavailable("all predefined address pools have been fully subnetted")


def _cut(pool: Pool, occupied: Sequence[IpNetwork]) -> Iterator[IpNetwork]:
    inside = [other for other in occupied if overlap(other, pool.base)]
    for subnet in pool.base.subnets(new_prefix=max(pool.size, pool.base.prefixlen)):
        if not any(overlap(subnet, other) for other in inside):
            yield subnet


def _unique_local(occupied: Sequence[IpNetwork]) -> IpNetwork:
    while True:
        packed = b"\xfd" + secrets.token_bytes(5) + bytes(10)
        subnet = ipaddress.IPv6Network((packed, _ULA_PREFIX_LENGTH))
        if not any(overlap(subnet, other) for other in occupied):
            return subnet


def overlap(one: IpNetwork, other: IpNetwork) -> bool:
    """Whether two networks share addresses; those of two families never do."""
    return one.version == other.version and one.overlaps(other)


class Addresses:
    """The addresses of one subnet, handed out in turn: one given back waits until the others had theirs.

    Neighbours and clients cache what they knew of an address; a turn later those caches have expired.
    """

    def __init__(self, subnet: IpNetwork, *, within: IpNetwork | None = None, reserved: Iterable[Address] = ()) -> None:
        """`within` narrows what is handed out (fixed-cidr, ip-range); `reserved` never is (gateway, aux addresses)."""
        range_ = within or subnet
        self.subnet = subnet
        self._first, self._last = int(range_[0]), int(range_[-1])
        self._reserved = {int(address) for address in reserved} | _edges(subnet)
        self._held: set[int] = set()
        self._next = self._first

    @property
    def free(self) -> int:
        """How many addresses can still be handed out."""
        inside = sum(1 for address in self._reserved | self._held if self._first <= address <= self._last)
        return self._last - self._first + 1 - inside

    def take(self) -> Address:
        """The next free address. Raises `Unavailable` when there is none."""
        count = self._last - self._first + 1
        if self.free > 0:
            for step in range(count):
                candidate = self._first + (self._next - self._first + step) % count
                if candidate not in self._held and candidate not in self._reserved:
                    self._held.add(candidate)
                    self._next = candidate + 1
                    return self._address(candidate)
        raise Unavailable(
            f"no available IPv{self.subnet.version} addresses on this network's address pools: {self.subnet}"
        )

    def claim(self, address: Address) -> None:
        """Hold one given address. Raises `Conflict` when it is held or reserved."""
        if int(address) in self._held or int(address) in self._reserved:
            raise Conflict("Address already in use")
        self._held.add(int(address))
        if self._first <= int(address) <= self._last:
            self._next = max(self._next, int(address) + 1)

    def release(self, address: Address) -> None:
        """Give an address back; one that is not held is no error."""
        self._held.discard(int(address))

    def _address(self, number: int) -> Address:
        return ipaddress.IPv4Address(number) if self.subnet.version == 4 else ipaddress.IPv6Address(number)


def _edges(subnet: IpNetwork) -> set[int]:
    """What no host has: network and broadcast address, in IPv6 the anycast address of the routers (RFC 4291, 2.6.1)."""
    if subnet.prefixlen >= subnet.max_prefixlen - 1:
        return set()
    return {int(subnet[0]), int(subnet[-1])} if subnet.version == 4 else {int(subnet[0])}


@dataclass(frozen=True, slots=True)
class Lease:
    """The addresses of one endpoint, at most one a family, and where it sends what is not for its subnets."""

    v4: ipaddress.IPv4Interface | None = None
    v6: ipaddress.IPv6Interface | None = None
    gateway: str = ""
    gateway6: str = ""

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        return tuple(one for one in (self.v4, self.v6) if one is not None)


class Leases:
    """The addresses of one network, all subnets and both families."""

    def __init__(self, network: Network) -> None:
        self._pools: list[tuple[Addresses, str]] = []
        for subnet in network.subnets:
            routers = {text for text in (subnet.gateway, *subnet.aux.values()) if text}
            addresses = Addresses(
                subnet.network,
                within=ipaddress.ip_network(subnet.ip_range) if subnet.ip_range else None,
                reserved=[ipaddress.ip_address(router) for router in routers],
            )
            self._pools.append((addresses, "" if network.internal else subnet.router))

    @property
    def free(self) -> int:
        """How many endpoints can still be given their addresses."""
        versions = {pool.subnet.version for pool, _ in self._pools}
        return min((sum(pool.free for pool, _ in self._of(version)) for version in versions), default=0)

    def take(self, ipv4: str = "", ipv6: str = "") -> Lease:
        """An address of each family the network has, the given ones where they are given.

        Raises `Unavailable` when there is none, `Conflict` for a given one in use, `Invalid` for one outside the subnets.
        """
        v4, gateway = self._one(4, ipv4)
        try:
            v6, gateway6 = self._one(6, ipv6)
        except BaseException:
            if v4 is not None:
                self.release(v4)
            raise
        return Lease(
            v4 if isinstance(v4, ipaddress.IPv4Interface) else None,
            v6 if isinstance(v6, ipaddress.IPv6Interface) else None,
            gateway,
            gateway6,
        )

    def hold(self, endpoint: Endpoint) -> None:
        """Take what a stored endpoint has. Raises `Conflict`."""
        for address in (endpoint.ip, endpoint.ip6):
            if address is not None:
                self._pool_of(address)[0].claim(address)

    def release(self, *interfaces: Interface) -> None:
        """Give addresses back; ones that are not held, or of no subnet, are no error."""
        for interface in interfaces:
            for pool, _ in self._of(interface.version):
                if interface.ip in pool.subnet:
                    pool.release(interface.ip)

    def _one(self, version: int, wanted: str) -> tuple[Interface | None, str]:
        if wanted:
            address = ipaddress.ip_address(wanted)
            pool, gateway = self._pool_of(address)
            pool.claim(address)
            return ipaddress.ip_interface(f"{address}/{pool.subnet.prefixlen}"), gateway
        pools = self._of(version)
        if not pools:
            return None, ""
        pool, gateway = next((one for one in pools if one[0].free > 0), pools[-1])
        return ipaddress.ip_interface(f"{pool.take()}/{pool.subnet.prefixlen}"), gateway

    def _of(self, version: int) -> list[tuple[Addresses, str]]:
        return [(pool, gateway) for pool, gateway in self._pools if pool.subnet.version == version]

    def _pool_of(self, address: Address) -> tuple[Addresses, str]:
        for pool, gateway in self._of(address.version):
            if address in pool.subnet:
                return pool, gateway
        raise Invalid(f"invalid endpoint settings:\nno configured subnet contains IP address {address}")


def mac_for(address: ipaddress.IPv4Address | None) -> str:
    """The hardware address that goes with an IPv4 address: a neighbour's cached pair stays true when one is reused.

    Without one, a random address of the same form.
    """
    return "02:42:" + (address.packed if address is not None else secrets.token_bytes(4)).hex(":")
