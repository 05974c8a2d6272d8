"""Addresses: which subnet a network gets, and which address an endpoint gets. Decisions only; nothing here is stored."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockwright.errors import Conflict, Unavailable

Subnet = ipaddress.IPv4Network
Address = ipaddress.IPv4Address


@dataclass(frozen=True, slots=True)
class Pool:
    """Subnets of prefix length `size` are cut from `base` (daemon.json, default-address-pools)."""

    base: ipaddress.IPv4Network
    size: int


DEFAULT_POOLS: tuple[Pool, ...] = (
    *(Pool(ipaddress.IPv4Network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    Pool(ipaddress.IPv4Network("192.168.0.0/16"), 20),
)


def pick_subnet(pools: Sequence[Pool], taken: Iterable[Subnet]) -> Subnet:
    """The first subnet of the pools that overlaps none of `taken` (host routes and other networks).

    Raises `Unavailable`, in Docker's words, when every subnet is taken.
    """
    occupied = list(taken)
    for pool in pools:
        for subnet in _cut(pool, occupied):
            return subnet
    raise Unavailable("all predefined address pools have been fully subnetted")


def _cut(pool: Pool, occupied: Sequence[Subnet]) -> Iterator[Subnet]:
    inside = [other for other in occupied if other.overlaps(pool.base)]
    for subnet in pool.base.subnets(new_prefix=max(pool.size, pool.base.prefixlen)):
        if not any(subnet.overlaps(other) for other in inside):
            yield subnet


class Addresses:
    """The addresses of one subnet, handed out in turn: one given back waits until the others had theirs.

    Neighbours and clients cache what they knew of an address; a turn later those caches have expired.
    """

    def __init__(self, subnet: Subnet, *, within: Subnet | None = None, reserved: Iterable[Address] = ()) -> None:
        """`within` narrows what is handed out (fixed-cidr, ip-range); `reserved` never is (gateway, aux addresses)."""
        range_ = within or subnet
        self.subnet = subnet
        self._first, self._last = int(range_[0]), int(range_[-1])
        self._edges = {int(subnet.network_address), int(subnet.broadcast_address)} if subnet.prefixlen < 31 else set()
        self._reserved = {int(address) for address in reserved} | self._edges
        self._held: set[int] = set()
        self._next = self._first

    @property
    def free(self) -> int:
        """How many addresses can still be handed out."""
        inside = sum(1 for address in self._reserved if self._first <= address <= self._last)
        return self._last - self._first + 1 - inside - sum(1 for a in self._held if self._first <= a <= self._last)

    def take(self) -> Address:
        """The next free address. Raises `Unavailable` when there is none."""
        count = self._last - self._first + 1
        for step in range(count):
            candidate = self._first + (self._next - self._first + step) % count
            if candidate not in self._held and candidate not in self._reserved:
                self._held.add(candidate)
                self._next = candidate + 1
                return Address(candidate)
        raise Unavailable(f"no available IPv4 addresses on this network's address pools: {self.subnet}")

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


def mac_for(address: Address) -> str:
    """The hardware address that goes with an IPv4 address: a neighbour's cached pair stays true when one is reused."""
    return "02:42:" + address.packed.hex(":")
