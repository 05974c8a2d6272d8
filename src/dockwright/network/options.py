"""What a daemon may choose about its networks: dockerd's flags and daemon.json keys, parsed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dockwright.errors import Invalid
from dockwright.network.ipam import DEFAULT_POOLS, Pool

IFNAME_LIMIT = 15
ANY_ADDRESS = ipaddress.IPv4Address("0.0.0.0")
_SMALLEST6 = 126
IPV6_LEAST_MTU = 1280
_MARK = re.compile(r"(?:0x[0-9a-fA-F]{1,8}|[0-9]{1,10})(?:/(?:0x[0-9a-fA-F]{1,8}|[0-9]{1,10}))?")


@dataclass(frozen=True)
class NetworkOptions:
    """`bridge` "none" means no default bridge. `mtu` None takes the MTU of the host's default route, 1500 at most."""

    bridge: str = "dockwright0"
    bip: ipaddress.IPv4Interface | None = None
    fixed_cidr: ipaddress.IPv4Network | None = None
    default_gateway: ipaddress.IPv4Address | None = None
    #: IPv6 on the default bridge; the three after it say which, else a subnet of the pools or a unique local one.
    ipv6: bool = False
    bip6: ipaddress.IPv6Interface | None = None
    fixed_cidr_v6: ipaddress.IPv6Network | None = None
    default_gateway_v6: ipaddress.IPv6Address | None = None
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
    #: `allow-direct-routing`: published ports are reached at the container's own address, too.
    direct_routing: bool = False
    #: `bridge-accept-fwmark`, MARK or MARK/MASK: what carries it enters every bridge network; empty for none.
    accept_mark: str = ""
    #: `default-network-opts`: options of new networks that do not say otherwise, by driver.
    default_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
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
        self._check_ipv6()
        if self.accept_mark and not _MARK.fullmatch(self.accept_mark):
            raise Invalid(f"invalid bridge-accept-fwmark {self.accept_mark!r}: want a mark or mark/mask, as 0x1/0x3")

    def _check_ipv6(self) -> None:
        if self.ipv6 and self.mtu is not None and self.mtu < IPV6_LEAST_MTU:
            raise Invalid(f"invalid mtu {self.mtu}: IPv6 needs {IPV6_LEAST_MTU} at least")
        bip, fixed, gateway = self.bip6, self.fixed_cidr_v6, self.default_gateway_v6
        if not self.ipv6 and (bip or fixed or gateway):
            raise Invalid("bip6, fixed-cidr-v6 and default-gateway-v6 say nothing without ipv6: set ipv6 too")
        for what, given in (("bip6", bip.network if bip else None), ("fixed-cidr-v6", fixed)):
            if given is not None and given.prefixlen > _SMALLEST6:
                raise Invalid(f"invalid {what}: a /{given.prefixlen} has no room for a bridge and containers")
        if bip is not None and bip.ip == bip.network[0]:
            raise Invalid(f"invalid bip6 {bip}: the address must be a host of its subnet")
        if bip and fixed and not fixed.subnet_of(bip.network):
            raise Invalid(f"fixed-cidr-v6 {fixed} is not inside bip6 {bip.network}")
        subnet = bip.network if bip else fixed
        if gateway and subnet and gateway not in subnet:
            raise Invalid(f"default-gateway-v6 {gateway} is not inside the bridge's subnet {subnet}")


def parse_bip(text: str) -> ipaddress.IPv4Interface:
    """`--bip`: an address with prefix. Raises `Invalid`."""
    if "/" not in text:
        raise Invalid(f"invalid bip {text!r}: an address with prefix length is needed, as 172.17.0.1/16")
    try:
        return ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise Invalid(f"invalid bip {text!r}: {error}") from error


def parse_bip6(text: str) -> ipaddress.IPv6Interface:
    """`--bip6`: an address with prefix. Raises `Invalid`."""
    if "/" not in text:
        raise Invalid(f"invalid bip6 {text!r}: an address with prefix length is needed, as fd00::1/64")
    try:
        return ipaddress.IPv6Interface(text)
    except ValueError as error:
        raise Invalid(f"invalid bip6 {text!r}: {error}") from error


def parse_network_defaults(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """`--default-network-opt DRIVER=OPTION=VALUE`, by driver. Raises `Invalid`."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        driver, _, option = text.partition("=")
        name, equals, value = option.partition("=")
        if not driver or not name or not equals:
            raise Invalid(f"invalid default-network-opt {text!r}: want DRIVER=OPTION=VALUE")
        found.setdefault(driver, {})[name] = value
    return found


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
