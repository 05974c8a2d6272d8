"""What networks talk about: networks, requests, endpoints, sandboxes. Pure data, stored as JSON in SQLite."""

from __future__ import annotations

import ipaddress
import re
import secrets
from pathlib import Path

import msgspec

from dockwright.errors import Invalid

PROTOCOLS = ("tcp", "udp", "sctp")
#: The networks an engine is born with: they are neither made nor removed by anybody.
PREDEFINED = ("bridge", "host", "none")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Subnet(msgspec.Struct, frozen=True):
    """One range of addresses of a network: IPAM.Config of the Engine API."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    aux: dict[str, str] = {}
    #: Picked by the engine, not asked for: fixed addresses are then refused, as Docker does.
    picked: bool = False

    @property
    def network(self) -> IpNetwork:
        return ipaddress.ip_network(self.subnet)

    @property
    def router(self) -> str:
        """Where containers send what is not for the subnet: the gateway, unless an auxiliary address says otherwise."""
        return self.aux.get(f"DefaultGatewayIPv{self.network.version}") or self.gateway


class Network(msgspec.Struct, frozen=True):
    """A network as stored. `link` is its interface on the host (bridge, parent), empty for drivers without one."""

    id: str
    name: str
    driver: str
    created_ns: int
    subnets: tuple[Subnet, ...] = ()
    link: str = ""
    #: Whether the engine created `link` (and may delete it), or found it there.
    owns_link: bool = True
    mtu: int = 1500
    internal: bool = False
    attachable: bool = False
    ipv4: bool = True
    ipv6: bool = False
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = {}
    config_only: bool = False
    config_from: str = ""
    options: dict[str, str] = {}
    labels: dict[str, str] = {}

    def of_version(self, version: int) -> tuple[Subnet, ...]:
        """The subnets of one address family."""
        return tuple(subnet for subnet in self.subnets if subnet.network.version == version)

    @property
    def gateway(self) -> str:
        """The network's first IPv4 address on the host, empty without one."""
        return next((subnet.gateway for subnet in self.of_version(4)), "")

    @property
    def predefined(self) -> bool:
        return self.name in PREDEFINED


class PortRequest(msgspec.Struct, frozen=True):
    """One port to publish: `host_first`..`host_last` are candidates, 0..0 means any free ephemeral port.

    `host_ip` empty means the default binding address of the network or the daemon.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_first: int = 0
    host_last: int = 0


class PublishedPort(msgspec.Struct, frozen=True, order=True):
    """One port as published. `host_port` 0: the container's own address is reached from outside (gateway mode `routed`)."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int


class Join(msgspec.Struct, frozen=True):
    """How a container wants to be on one network: EndpointSettings of the Engine API."""

    network: str = "bridge"
    mac_address: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    #: `TARGET:ALIAS`: a name for another container that only this one knows.
    links: tuple[str, ...] = ()
    gateway_priority: int = 0
    options: dict[str, str] = {}


class Resolver(msgspec.Struct, frozen=True):
    """Who answers what is not ours. `servers` are asked from the container's namespace; none: the host's, from the host."""

    servers: tuple[str, ...] = ()


class AttachRequest(msgspec.Struct, frozen=True):
    """How a container wants to be connected. `name` is the container's."""

    name: str
    joins: tuple[Join, ...] = (Join(),)
    ports: tuple[PortRequest, ...] = ()
    hostname: str = ""
    resolver: Resolver = Resolver()


class Endpoint(msgspec.Struct, frozen=True):
    """One container on one network, as stored: enough to make the kernel agree with it, any number of times.

    `interface` is the link inside the sandbox, `link` its other end on the host; `address` and `address6` have prefixes.
    """

    container_id: str
    container_name: str
    network_id: str
    endpoint_id: str
    sandbox: str
    interface: str = ""
    link: str = ""
    mac: str = ""
    address: str = ""
    gateway: str = ""
    address6: str = ""
    gateway6: str = ""
    join: Join = Join()

    @property
    def ip(self) -> ipaddress.IPv4Address | None:
        return ipaddress.IPv4Interface(self.address).ip if self.address else None

    @property
    def ip6(self) -> ipaddress.IPv6Address | None:
        return ipaddress.IPv6Interface(self.address6).ip if self.address6 else None

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Every address with its prefix."""
        return tuple(
            ipaddress.ip_interface(text) for text in (self.address, self.address6, *self.join.link_local) if text
        )


class Sandbox(msgspec.Struct, frozen=True):
    """One container's network namespace with its endpoints and published ports, as stored. `handle` names the namespace."""

    container_id: str
    name: str
    handle: str
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    hostname: str = ""
    resolver: Resolver = Resolver()

    def on(self, network_id: str) -> Endpoint | None:
        """The endpoint on one network, or None."""
        return next((endpoint for endpoint in self.endpoints if endpoint.network_id == network_id), None)


class Place(msgspec.Struct, frozen=True):
    """One network of an attachment: what `inspect` shows of an endpoint."""

    network_id: str
    network_name: str
    driver: str
    endpoint_id: str
    mac: str
    ip: str
    prefix_len: int
    gateway: str
    ip6: str = ""
    prefix_len6: int = 0
    gateway6: str = ""
    dns_names: tuple[str, ...] = ()


class Attachment(msgspec.Struct, frozen=True):
    """What a container gets: the namespace to join and what `inspect` shows. `places` are in the order of joining."""

    netns_path: Path
    places: tuple[Place, ...]
    ports: tuple[PublishedPort, ...]
    #: Whether names are answered at 127.0.0.11 inside.
    dns: bool = False

    @property
    def sandbox_id(self) -> str:
        """Docker's `SandboxID`: here derived from the handle, so that both name one thing."""
        return (self.netns_path.name + (self.places[0].endpoint_id if self.places else "0" * 64))[:64]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address of the container, IPv4 first in each network."""
        return tuple(address for place in self.places for address in (place.ip, place.ip6) if address)

    @property
    def ipv6(self) -> bool:
        """Whether the container has an IPv6 address on some network."""
        return any(place.ip6 for place in self.places)

    def place(self, network: str) -> Place | None:
        """The place on a network given by name or id, or None."""
        return next((place for place in self.places if network in (place.network_name, place.network_id)), None)


def new_id() -> str:
    """64 random hex digits."""
    return secrets.token_hex(32)


def parse_mac(text: str) -> str:
    """A unicast hardware address in lower case. Raises `Invalid` with Docker's words."""
    candidate = text.replace("-", ":").lower()
    if not _MAC.fullmatch(candidate) or int(candidate[:2], 16) & 1:
        raise Invalid(f"invalid MAC address: {text}")
    return candidate


def parse_port_request(container_port: int, protocol: str, host_ip: str, host_port: str) -> PortRequest:
    """One entry of `HostConfig.PortBindings`: `host_port` is empty, a port, or a range `first-last`. Raises `Invalid`."""
    if protocol not in PROTOCOLS:
        raise Invalid(f"invalid proto: {protocol}")
    if not 1 <= container_port <= 65535:
        raise Invalid(f"invalid container port: {container_port}")
    if host_ip:
        try:
            ipaddress.ip_address(host_ip)
        except ValueError as error:
            raise Invalid(f"invalid IP address in port binding: {host_ip}") from error
    first, dash, last = host_port.partition("-")
    try:
        low = int(first) if first else 0
        high = int(last) if dash else low
    except ValueError as error:
        raise Invalid(f"invalid port specification: {host_port!r}") from error
    if not 0 <= low <= high <= 65535 or (dash and not low):
        raise Invalid(f"invalid port specification: {host_port!r}")
    return PortRequest(container_port, protocol, host_ip, low, high)
