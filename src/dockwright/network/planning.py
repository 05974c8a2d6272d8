"""From what somebody asks for to a network: validation, and which subnets it gets. Decisions only; nothing is done here."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dockwright.errors import Forbidden, Invalid, NotFound
from dockwright.network.drivers.settings import ENABLE4, ENABLE6, boolean
from dockwright.network.ipam import Pool, overlap, pick_subnet
from dockwright.network.model import PREDEFINED, IpNetwork, Network, Subnet
from dockwright.network.options import IPV6_LEAST_MTU


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """What a client asks for: the body of `POST /networks/create`, or `docker network create`."""

    name: str
    driver: str = ""
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    attachable: bool = False
    #: None: as the options say, else IPv4 alone.
    ipv4: bool | None = None
    ipv6: bool | None = None
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = field(default_factory=dict)
    config_only: bool = False
    config_from: str = ""
    scope: str = ""
    ingress: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def families(self) -> dict[int, bool]:
        """Which address families the network has. Raises `Invalid` for an option that is neither true nor false."""
        return {
            version: asked if asked is not None else boolean(self.options, option, default)
            for version, asked, option, default in ((4, self.ipv4, ENABLE4, True), (6, self.ipv6, ENABLE6, False))
        }


def with_defaults(request: NetworkRequest, defaults: Mapping[str, Mapping[str, str]]) -> NetworkRequest:
    """The request with the daemon's options for new networks of its driver, where it says nothing itself."""
    more = defaults.get(request.driver or "bridge", {})
    return replace(request, options={**more, **request.options})


def check(request: NetworkRequest, drivers: Collection[str] = ()) -> None:
    """Raises `Invalid`, `Forbidden` or `NotFound`, in Docker's words where it has some. `drivers` are those that are known."""
    if not request.name.strip() or not request.name.isprintable():
        raise Invalid(
            "invalid name: name is empty" if not request.name.strip() else "invalid name: unprintable characters"
        )
    if request.name in PREDEFINED or request.name == "default":
        raise Forbidden(f"operation is not permitted on predefined {request.name} network ")
    clustered = request.driver in ("overlay", "swarm") and request.driver not in drivers
    if clustered or request.scope in ("swarm", "global") or request.ingress:
        raise Forbidden(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
            "and try again."
        )
    if request.scope not in ("", "local"):
        raise Invalid(f"invalid scope {request.scope!r}: local is expected")
    if request.ipam_driver not in ("", "default", "null"):
        raise NotFound(f"invalid ipam driver: {request.ipam_driver}")
    if request.ipam_options:
        raise Invalid(f"unknown option of the default IPAM driver: {', '.join(sorted(request.ipam_options))}")
    if not any(request.families.values()) and not request.config_only:
        raise Invalid("IPv4 or IPv6 must be enabled")
    if request.config_only and request.config_from:
        raise Forbidden("configuration network cannot depend on another configuration network")
    if request.config_from and (request.subnets or request.options or request.ipv6 or request.internal):
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    faults = [fault for subnet in request.subnets for fault in _faults(subnet, request)]
    faults += _overlaps_within(request.subnets)
    if faults:
        raise Invalid("invalid network config:\n" + "\n".join(faults))


def check_mtu(network: Network) -> None:
    """Raises `Invalid` where IPv6 does not fit (RFC 8200, 5). An MTU of 0 is that of the parent."""
    if network.ipv6 and 0 < network.mtu < IPV6_LEAST_MTU:
        raise Invalid(f"invalid MTU {network.mtu}: IPv6 needs {IPV6_LEAST_MTU} at least")


def _faults(subnet: Subnet, request: NetworkRequest) -> Iterable[str]:
    if not subnet.subnet:
        yield "a subnet is needed for a gateway, ip-range or aux-address"
        return
    try:
        network = ipaddress.ip_network(subnet.subnet, strict=False)
    except ValueError:
        yield f"invalid subnet {subnet.subnet}: invalid CIDR block notation"
        return
    if str(network.network_address) != subnet.subnet.partition("/")[0].lower() or "/" not in subnet.subnet:
        yield f"invalid subnet {subnet.subnet}: it should be {network}"
    if not request.families[network.version]:
        yield f"invalid subnet {subnet.subnet}: IPv{network.version} is not enabled for the network"
    if subnet.ip_range:
        yield from _range_faults(subnet.ip_range, network)
    named = {"gateway": subnet.gateway} if subnet.gateway else {}
    for what, text in (*named.items(), *((f"auxiliary address {name}", text) for name, text in subnet.aux.items())):
        try:
            inside = ipaddress.ip_address(text) in network
        except ValueError:
            yield f"invalid {what} {text}: no IP address"
            continue
        if not inside:
            yield f"invalid {what} {text}: parent subnet {network} does not contain this address"


def _range_faults(text: str, network: IpNetwork) -> Iterable[str]:
    try:
        within = ipaddress.ip_network(text, strict=False)
    except ValueError:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
        return
    if not overlap(within, network) or within.prefixlen < network.prefixlen:
        yield f"invalid ip-range {text}: parent subnet {network} doesn't contain ip-range"
    elif str(within.network_address) != text.partition("/")[0].lower():
        yield f"invalid ip-range {text}: it should be {within}"


def _overlaps_within(subnets: Sequence[Subnet]) -> list[str]:
    parsed: list[IpNetwork] = []
    for subnet in subnets:
        try:
            parsed.append(ipaddress.ip_network(subnet.subnet, strict=False))
        except ValueError:
            continue
    return [
        f"subnets {one} and {other} overlap"
        for number, one in enumerate(parsed)
        for other in parsed[number + 1 :]
        if overlap(one, other)
    ]


def subnets(
    request: NetworkRequest, pools: Sequence[Pool], taken: Sequence[IpNetwork], version_wanted: dict[int, bool]
) -> tuple[Subnet, ...]:
    """The subnets of a new network, gateways chosen; a family without one gets the next of the pools.

    `taken` are the host's routes and addresses and the subnets of other networks. Raises `Forbidden` in Docker's words for
    one that overlaps them, `Unavailable` when the pools are exhausted.
    """
    found: list[Subnet] = []
    for asked in request.subnets:
        if any(overlap(asked.network, other) for other in taken):
            raise Forbidden(f"invalid pool request: Pool overlaps with other one on this address space: {asked.subnet}")
        found.append(Subnet(asked.subnet, asked.gateway or _gateway(asked), asked.ip_range, asked.aux))
    if request.ipam_driver == "null":
        return tuple(found)
    for version, wanted in version_wanted.items():
        if wanted and not any(subnet.network.version == version for subnet in found):
            picked = pick_subnet(pools, taken, version)
            found.append(Subnet(str(picked), str(picked[1]), picked=True))
    return tuple(found)


def _gateway(subnet: Subnet) -> str:
    """The first address that no auxiliary address has; of a /32 or /128 the only one."""
    network, reserved = subnet.network, set(subnet.aux.values())
    if network.num_addresses <= 2:
        return str(network[0])
    return next(str(network[n]) for n in range(1, network.num_addresses) if str(network[n]) not in reserved)
