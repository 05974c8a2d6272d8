"""What a daemon may choose about its networks: dockerd's flags and daemon.json keys, parsed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from dockwright.errors import Invalid
from dockwright.network.ipam import DEFAULT_POOLS, Pool

IFNAME_LIMIT = 15
ANY_ADDRESS = ipaddress.IPv4Address("0.0.0.0")


@dataclass(frozen=True)
class NetworkOptions:
    """`bridge` "none" means no default bridge. `mtu` None takes the MTU of the host's default route, 1500 at most."""

    bridge: str = "dockwright0"
    bip: ipaddress.IPv4Interface | None = None
    fixed_cidr: ipaddress.IPv4Network | None = None
    default_gateway: ipaddress.IPv4Address | None = None
    address_pools: tuple[Pool, ...] = DEFAULT_POOLS
    mtu: int | None = None
    icc: bool = True
    ip_masquerade: bool = True
    ip_forward: bool = True
    host_binding_ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ANY_ADDRESS
    #: `iptables: false`: no table of rules; published ports are then relayed by the daemon itself.
    firewall: bool = True
    #: `userland-proxy`: relay what the kernel cannot translate ([::] of the host to a container without IPv6).
    relay: bool = True
    #: `publish-from`: the only sources, beside the host and its containers, that reach published ports; empty for all.
    publish_from: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    #: How many namespaces with a veth pair and an address are kept ready.
    prepared: int = 16

    def __post_init__(self) -> None:
        if not self.bridge or len(self.bridge) > IFNAME_LIMIT or any(c.isspace() or c in '/:"' for c in self.bridge):
            raise Invalid(f"invalid bridge name {self.bridge!r}: 1 to {IFNAME_LIMIT} characters without blanks, / or :")
        if self.mtu is not None and not 68 <= self.mtu <= 65535:
            raise Invalid(f"invalid mtu {self.mtu}: must be between 68 and 65535")
        if self.bip is not None and self.bip.ip in (self.bip.network[0], self.bip.network[-1]):
            raise Invalid(f"invalid bip {self.bip}: the address must be a host of its subnet")
        if self.bip and self.fixed_cidr and not self.fixed_cidr.subnet_of(self.bip.network):
            raise Invalid(f"fixed-cidr {self.fixed_cidr} is not inside bip {self.bip.network}")
        if self.bip and self.default_gateway and self.default_gateway not in self.bip.network:
            raise Invalid(f"default-gateway {self.default_gateway} is not inside bip {self.bip.network}")


def parse_bip(text: str) -> ipaddress.IPv4Interface:
    """`--bip`: an address with prefix. Raises `Invalid`."""
    if "/" not in text:
        raise Invalid(f"invalid bip {text!r}: an address with prefix length is needed, as 172.17.0.1/16")
    try:
        return ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise Invalid(f"invalid bip {text!r}: {error}") from error


def parse_pool(text: str) -> Pool:
    """`--default-address-pool base=10.10.0.0/16,size=24`. Raises `Invalid`."""
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    if set(fields) != {"base", "size"}:
        raise Invalid(f"invalid default-address-pool {text!r}: want base=<subnet>,size=<prefix length>")
    try:
        base, size = ipaddress.ip_network(fields["base"]), int(fields["size"])
    except ValueError as error:
        raise Invalid(f"invalid default-address-pool {text!r}: {error}") from error
    longest = base.max_prefixlen - 2
    if not base.prefixlen <= size <= longest:
        raise Invalid(f"invalid default-address-pool {text!r}: size must be between {base.prefixlen} and {longest}")
    return Pool(base, size)


def parse_source(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """`--publish-from 10.0.0.0/8`: a subnet or an address. Raises `Invalid`."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise Invalid(f"invalid publish-from {text!r}: {error}") from error
