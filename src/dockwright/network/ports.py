"""Host ports: which are ours, and held by a bound socket so that no other process gets them.

A bound socket that never listens costs a descriptor and keeps `bind` of everyone else failing with EADDRINUSE (sockets here
do not set SO_REUSEADDR), and the kernel's own choice of ephemeral ports away; connections never reach it, because the packet
filter translates them first. A port another process already listens on is found out the same way. While the daemon is down
the port is open to others, but translated traffic still goes to the container.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dockwright.errors import Conflict, DockwrightError, HostFailure, Invalid, Unsupported
from dockwright.network.model import PortRequest, PublishedPort

_KINDS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_LOCAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
IPV6_ANY = "::"


@dataclass(frozen=True, slots=True)
class Key:
    """What is exclusive on a host."""

    protocol: str
    host_ip: str
    port: int


class HostPorts:
    """The published ports of one daemon. Synchronous, microseconds a call; not for use from two threads."""

    def __init__(self, *, default_ip: str = "0.0.0.0", ipv6: bool = True) -> None:
        """`ipv6`: a request without an address is bound on [::] too, as Docker does, also for a container without IPv6."""
        self._default_ip = default_ip
        self._ipv6 = ipv6
        self._sockets: dict[Key, socket.socket | None] = {}
        self._by_number: dict[tuple[str, int], set[Key]] = {}
        self._next_ephemeral = 0

    def reserve(
        self, request: PortRequest, *, default_ip: str = "", routed: Collection[int] = (), ipv6: bool = False
    ) -> list[PublishedPort]:
        """Hold a host port for a request, on one address or on all of both families.

        `default_ip` stands where neither request nor network name an address; `routed` are the address families whose
        containers are reached at their own addresses: no host port is held for them; `ipv6` says the container has IPv6.
        Raises `Conflict` when a port is taken, with Docker's words for ours and for somebody else's.
        """
        addresses = self._addresses(request, default_ip, ipv6)
        bound = [address for address in addresses if (6 if ":" in address else 4) not in routed]
        found = [
            PublishedPort(request.container_port, request.protocol, address, 0)
            for address in addresses
            if address not in bound
        ]
        return found + (self._bind_one(request, bound) if bound else [])

    def adopt(self, ports: tuple[PublishedPort, ...]) -> list[str]:
        """Hold ports of a container that outlived the daemon; returns a warning for each one somebody else took."""
        warnings = []
        for port in ports:
            key = Key(port.protocol, port.host_ip, port.host_port)
            if key in self._sockets or not port.host_port:
                continue
            try:
                self._keep(key, _bind(key))
            except Conflict as error:
                self._keep(key, None)
                warnings.append(f"published port {key.host_ip}:{key.port}/{key.protocol}: {error}")
        return warnings

    def release(self, ports: Iterable[PublishedPort]) -> None:
        """Let go of ports; ones that are not held are no error."""
        for port in ports:
            self._let_go(Key(port.protocol, port.host_ip, port.host_port))

    def held(self, port: PublishedPort) -> socket.socket | None:
        """The bound socket of a port, for a relay to use; it stays ours to close."""
        return self._sockets.get(Key(port.protocol, port.host_ip, port.host_port))

    def close(self) -> None:
        """Let go of everything."""
        for key in list(self._sockets):
            self._let_go(key)

    def _bind_one(self, request: PortRequest, addresses: list[str]) -> list[PublishedPort]:
        conflict: Conflict | None = None
        for port in self._candidates(request):
            try:
                self._hold([Key(request.protocol, address, port) for address in addresses])
            except Conflict as error:
                conflict = conflict or error
                continue
            return [PublishedPort(request.container_port, request.protocol, address, port) for address in addresses]
        if request.host_first != request.host_last:
            raise Conflict("all ports are allocated") from conflict
        raise conflict or Conflict("all ports are allocated")

    def _addresses(self, request: PortRequest, default_ip: str, ipv6: bool) -> list[str]:
        if request.host_ip:
            address = str(ipaddress.ip_address(request.host_ip))
            if ":" in address and request.protocol == "sctp" and not ipv6:
                raise Unsupported(
                    "sctp cannot be published on an IPv6 address of the host for a container without IPv6"
                )
            return [address]
        default = default_ip or self._default_ip
        both = default == "0.0.0.0" and (ipv6 or (self._ipv6 and request.protocol != "sctp"))
        return [default, IPV6_ANY] if both else [default]

    def _candidates(self, request: PortRequest) -> Iterable[int]:
        if request.host_first:
            return range(request.host_first, request.host_last + 1)
        first, last = _ephemeral_range()
        start = self._next_ephemeral if first <= self._next_ephemeral <= last else first
        self._next_ephemeral = start + 1
        return chain(range(start, last + 1), range(first, start))

    def _hold(self, keys: list[Key]) -> None:
        for key in keys:
            self._refuse_ours(key)
        taken: list[Key] = []
        for key in keys:
            try:
                self._keep(key, _bind(key))
            except DockwrightError:
                for other in taken:
                    self._let_go(other)
                raise
            taken.append(key)
        self._next_ephemeral = keys[0].port + 1

    def _keep(self, key: Key, held: socket.socket | None) -> None:
        self._sockets[key] = held
        self._by_number.setdefault((key.protocol, key.port), set()).add(key)

    def _let_go(self, key: Key) -> None:
        if key not in self._sockets:
            return
        held = self._sockets.pop(key)
        if held is not None:
            held.close()
        same = self._by_number[key.protocol, key.port]
        same.discard(key)
        if not same:
            del self._by_number[key.protocol, key.port]

    def _refuse_ours(self, key: Key) -> None:
        version = ipaddress.ip_address(key.host_ip).version
        for other in self._by_number.get((key.protocol, key.port), ()):
            theirs = ipaddress.ip_address(other.host_ip)
            if theirs.version != version:
                continue
            if (
                other.host_ip == key.host_ip
                or theirs.is_unspecified
                or ipaddress.ip_address(key.host_ip).is_unspecified
            ):
                raise Conflict(f"Bind for {_shown(key.host_ip)}:{key.port} failed: port is already allocated")


def _bind(key: Key) -> socket.socket | None:
    kind, protocol = _KINDS[key.protocol]
    family = socket.AF_INET6 if ":" in key.host_ip else socket.AF_INET
    try:
        held = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        if key.protocol == "sctp" or error.errno == errno.EAFNOSUPPORT:
            return None  # the kernel has no such sockets, so nobody else can take the port either
        raise HostFailure(f"failed to open a socket for {key}: {os.strerror(error.errno or 0).lower()}") from error
    try:
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.bind((key.host_ip, key.port))
    except OSError as error:
        held.close()
        what = f"failed to bind host port {_shown(key.host_ip)}:{key.port}/{key.protocol}"
        reason = os.strerror(error.errno or 0).lower()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise Conflict(f"{what}: {reason}") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise Invalid(f"{what}: {reason}") from error
        raise HostFailure(f"{what}: {reason}") from error
    return held


def _shown(host_ip: str) -> str:
    return f"[{host_ip}]" if ":" in host_ip else host_ip


def _ephemeral_range() -> tuple[int, int]:
    first, last = _LOCAL_RANGE.read_text().split()
    return int(first), int(last)
