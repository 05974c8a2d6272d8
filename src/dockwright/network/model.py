"""What networks talk about: networks, requests, endpoints. Pure data, stored as JSON in SQLite."""

from __future__ import annotations

import ipaddress
import re
import secrets
from pathlib import Path

import msgspec

from dockwright.errors import Invalid

PROTOCOLS = ("tcp", "udp", "sctp")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


class Network(msgspec.Struct, frozen=True):
    """A network as stored. `link` is the bridge's interface name, empty for drivers without one."""

    id: str
    name: str
    driver: str
    created_ns: int
    subnet: str = ""
    gateway: str = ""
    #: Where containers send what is not for the subnet; empty means `gateway`.
    default_route: str = ""
    ip_range: str = ""
    link: str = ""
    mtu: int = 1500
    internal: bool = False
    icc: bool = True
    masquerade: bool = True
    #: Whether the engine created `link` (and may delete it), or found it there.
    owns_link: bool = True
    options: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class PortRequest(msgspec.Struct, frozen=True):
    """One port to publish: `host_first`..`host_last` are candidates, 0..0 means any free ephemeral port.

    `host_ip` empty means the daemon's default binding address.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_first: int = 0
    host_last: int = 0


class PublishedPort(msgspec.Struct, frozen=True, order=True):
    """One port as actually bound; `relayed` when the daemon carries the bytes instead of the kernel."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int
    relayed: bool = False


class AttachRequest(msgspec.Struct, frozen=True):
    """How a container wants to be connected. `name` is the container's, for error messages."""

    name: str
    mac_address: str = ""
    ipv4_address: str = ""
    ports: tuple[PortRequest, ...] = ()


class Endpoint(msgspec.Struct, frozen=True):
    """One container on one network, as stored: enough to make the kernel agree with it, any number of times."""

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
    ports: tuple[PublishedPort, ...] = ()

    @property
    def ip(self) -> ipaddress.IPv4Address:
        """The address without its prefix."""
        return ipaddress.IPv4Interface(self.address).ip


class Attachment(msgspec.Struct, frozen=True):
    """What a container gets: the namespace to join and what `inspect` shows."""

    netns_path: Path
    network_id: str
    network_name: str
    endpoint_id: str
    mac: str
    ip: str
    prefix_len: int
    gateway: str
    ports: tuple[PublishedPort, ...]

    @property
    def sandbox_id(self) -> str:
        """Docker's `SandboxID`: here derived from the handle, so that both name one thing."""
        return self.endpoint_id and (self.netns_path.name + self.endpoint_id)[:64]


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
