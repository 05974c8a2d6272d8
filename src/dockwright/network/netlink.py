"""Links, addresses and routes over one rtnetlink socket: the few messages the bridge driver sends, packed by hand.

`pyroute2`'s convenience layer costs about 0.3 ms a message in building and parsing (and `NetNS` forks a process); these are
on the way of every `run`. Message layout: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h.

A `Netlink` speaks to the network namespace of the thread that opened it, whichever thread uses it later. It is not safe
to use from two threads at once.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from dockwright.errors import HostFailure

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_CREATE, _EXCL, _REPLACE = 0x400, 0x200, 0x100
_NESTED = 0x8000

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_LINK, _IFLA_PROTINFO, _IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_GROUP, _IFLA_NET_NS_FD = 5, 12, 18, 20, 27, 28
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_BRPORT_MODE, _BRPORT_ISOLATED = 4, 33
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_MAIN, _BOOT, _UNICAST, _LINK_SCOPE = 254, 3, 1, 253
_AF_BRIDGE = 7
IFF_UP = 1

_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_RTMSG = struct.Struct("=BBBBBBBBI")
_ATTR = struct.Struct("=HH")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface as the kernel lists it; `master` is the index of its bridge, 0 for none."""

    index: int
    name: str
    kind: str
    master: int
    mtu: int
    mac: str
    up: bool
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the main table; `destination` None is the default route, `device` an interface index."""

    destination: Network | None
    device: int


class NetlinkError(HostFailure):
    """The kernel refused a request; `errno` says why."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"{what}: {os.strerror(number).lower()}")
        self.errno = number


class Netlink:
    """An rtnetlink socket. Requests raise `NetlinkError`; deleting what is not there is no error."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Safe to call twice."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- links ----------------------------------------------------------------------------------------------------

    def create_bridge(self, name: str, *, mac: str | None = None, mtu: int | None = None) -> None:
        """Create a bridge with STP off, down. Raises `NetlinkError` (EEXIST) when the name is taken."""
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, name) + _kind("bridge")
        if mac is not None:
            body += _attribute(_IFLA_ADDRESS, _mac(mac))
        if mtu is not None:
            body += _u32(_IFLA_MTU, mtu)
        self._request(_NEWLINK, _CREATE | _EXCL, body, f"create bridge {name}")

    def create_veth(
        self, name: str, *, peer: str, peer_netns_fd: int, bridge: int, mtu: int, peer_mac: str, up: bool = True
    ) -> None:
        """Create a veth pair in one step: this end on `bridge` (an index) and up, the other in another namespace, down.

        Without `peer_mac` the kernel chooses one.
        """
        peer_body = (
            _IFINFO.pack(0, 0, 0, 0, 0)
            + _text(_IFLA_IFNAME, peer)
            + _u32(_IFLA_NET_NS_FD, peer_netns_fd)
            + _u32(_IFLA_MTU, mtu)
            + (_attribute(_IFLA_ADDRESS, _mac(peer_mac)) if peer_mac else b"")
        )
        data = _attribute(_VETH_PEER | _NESTED, peer_body)
        body = (
            _IFINFO.pack(0, 0, 0, IFF_UP if up else 0, IFF_UP if up else 0)
            + _text(_IFLA_IFNAME, name)
            + _u32(_IFLA_MTU, mtu)
            + _u32(_IFLA_MASTER, bridge)
            + _attribute(
                _IFLA_LINKINFO | _NESTED, _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA | _NESTED, data)
            )
        )
        self._request(_NEWLINK, _CREATE | _EXCL, body, f"create veth {name}")

    def create_over(
        self, kind: str, name: str, *, parent: int, data: bytes = b"", netns_fd: int = -1, mac: str = "", mtu: int = 0
    ) -> None:
        """Create a link of a kind that sits on another one (macvlan, ipvlan, vlan), down, here or in another namespace."""
        info = _attribute(_INFO_KIND, kind.encode()) + (_attribute(_INFO_DATA | _NESTED, data) if data else b"")
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, name) + _attribute(_IFLA_LINKINFO | _NESTED, info)
        body += _u32(_IFLA_LINK, parent) if parent else b""
        body += _u32(_IFLA_NET_NS_FD, netns_fd) if netns_fd >= 0 else b""
        body += _attribute(_IFLA_ADDRESS, _mac(mac)) if mac else b""
        body += _u32(_IFLA_MTU, mtu) if mtu else b""
        self._request(_NEWLINK, _CREATE | _EXCL, body, f"create {kind} {name}")

    def set_up(self, index: int) -> None:
        """Bring an interface up."""
        self._request(_NEWLINK, 0, _IFINFO.pack(0, 0, index, IFF_UP, IFF_UP), f"set link {index} up")

    def set_mac(self, index: int, mac: str) -> None:
        """Change the hardware address; a veth may be up meanwhile."""
        body = _IFINFO.pack(0, 0, index, 0, 0) + _attribute(_IFLA_ADDRESS, _mac(mac))
        self._request(_NEWLINK, 0, body, f"set the address of link {index} to {mac}")

    def set_alias(self, index: int, alias: str) -> None:
        """Say what a link is for, where `ip link` shows it."""
        body = _IFINFO.pack(0, 0, index, 0, 0) + _attribute(_IFLA_IFALIAS, alias.encode())
        self._request(_NEWLINK, 0, body, f"set the alias of link {index}")

    def set_mtu(self, index: int, mtu: int) -> None:
        """Change the MTU."""
        self._request(_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + _u32(_IFLA_MTU, mtu), f"set mtu {mtu}")

    def set_isolated(self, index: int) -> None:
        """Forbid a bridge port to exchange frames with other isolated ports (linux/if_link.h, IFLA_BRPORT_ISOLATED)."""
        self._set_port(index, _attribute(_BRPORT_ISOLATED, b"\1"))

    def set_hairpin(self, index: int) -> None:
        """Let a bridge port get back what came in through it (linux/if_link.h, IFLA_BRPORT_MODE)."""
        self._set_port(index, _attribute(_BRPORT_MODE, b"\1"))

    def _set_port(self, index: int, option: bytes) -> None:
        body = _IFINFO.pack(_AF_BRIDGE, 0, index, 0, 0) + _attribute(_IFLA_PROTINFO | _NESTED, option)
        self._request(_SETLINK, 0, body, f"set bridge port {index}")

    def set_group(self, index: int, group: int) -> None:
        """Put a link into a device group; `delete_group` removes them all at once."""
        body = _IFINFO.pack(0, 0, index, 0, 0) + _u32(_IFLA_GROUP, group)
        self._request(_NEWLINK, 0, body, f"set the group of link {index}")

    def delete_group(self, group: int) -> None:
        """Delete every link of a group in one RCU grace period; an empty group is no error."""
        self._request(_DELLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + _u32(_IFLA_GROUP, group), "delete links", absent=True)

    def delete_link(self, name: str) -> None:
        """Delete an interface (and a veth's other end); waits for an RCU grace period, 15 ms."""
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, name)
        self._request(_DELLINK, 0, body, f"delete link {name}", absent=True)

    def link(self, name: str) -> Link | None:
        """The interface of that name, or None."""
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, name)
        try:
            found = list(self._exchange(_GETLINK, _REQUEST | _ACK, body, f"look up link {name}"))
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return _link(found[0])

    def links(self) -> list[Link]:
        """Every interface of the namespace."""
        body = _IFINFO.pack(0, 0, 0, 0, 0)
        return [_link(message) for message in self._exchange(_GETLINK, _REQUEST | _DUMP, body, "list links")]

    # -- addresses and routes ---------------------------------------------------------------------------------------

    def add_address(self, index: int, interface: Interface) -> None:
        """Give an interface an address; one it has already is no error."""
        packed = interface.ip.packed
        family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
        body = _IFADDR.pack(family, interface.network.prefixlen, 0, 0, index)
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        if interface.version == 4:
            body += _attribute(_IFA_BROADCAST, interface.network.broadcast_address.packed)
        else:
            body += _u32(_IFA_FLAGS, 0x02)  # IFA_F_NODAD: the engine hands out each address once
        self._request(_NEWADDR, _CREATE | _REPLACE, body, f"add address {interface}")

    def delete_address(self, index: int, interface: Interface) -> None:
        """Take an address away; one it has not is no error."""
        family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
        body = _IFADDR.pack(family, interface.network.prefixlen, 0, 0, index)
        body += _attribute(_IFA_LOCAL, interface.ip.packed) + _attribute(_IFA_ADDRESS, interface.ip.packed)
        self._request(_DELADDR, 0, body, f"delete address {interface}", absent=True)

    def addresses(self) -> list[tuple[int, Interface]]:
        """Every address of the namespace as (interface index, address with prefix)."""
        found = []
        for message in self._exchange(_GETADDR, _REQUEST | _DUMP, _IFADDR.pack(0, 0, 0, 0, 0), "list addresses"):
            _, prefix, _, _, index = _IFADDR.unpack_from(message)
            attributes = attributes_of(message[_IFADDR.size :])
            packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
            if packed is not None:
                found.append((index, ipaddress.ip_interface((packed, prefix))))
        return found

    def add_default_route(self, gateway: Address, device: int = 0) -> None:
        """Send everything that has no better route to `gateway`; replaces an earlier default route."""
        family = socket.AF_INET if gateway.version == 4 else socket.AF_INET6
        body = _RTMSG.pack(family, 0, 0, 0, _MAIN, _BOOT, 0, _UNICAST, 0) + _attribute(_RTA_GATEWAY, gateway.packed)
        body += _u32(_RTA_OIF, device) if device else b""
        self._request(_NEWROUTE, _CREATE | _REPLACE, body, f"add default route via {gateway}")

    def add_device_route(self, version: int, device: int) -> None:
        """Send everything that has no better route out of a link as it is; replaces an earlier default route."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        body = _RTMSG.pack(family, 0, 0, 0, _MAIN, _BOOT, _LINK_SCOPE if version == 4 else 0, _UNICAST, 0)
        self._request(_NEWROUTE, _CREATE | _REPLACE, body + _u32(_RTA_OIF, device), "add default route")

    def delete_default_route(self, version: int) -> None:
        """Remove the default route of one address family; none is no error."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        body = _RTMSG.pack(family, 0, 0, 0, _MAIN, 0, 255, 0, 0)
        self._request(_DELROUTE, 0, body, "delete the default route", absent=True)

    def routes(self) -> list[Route]:
        """The routes of the main table, both families."""
        found = []
        for message in self._exchange(_GETROUTE, _REQUEST | _DUMP, _RTMSG.pack(*[0] * 9), "list routes"):
            family, length, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(message)
            if table != 254 or kind != 1:
                continue
            attributes = attributes_of(message[_RTMSG.size :])
            device = struct.unpack("=I", attributes[_RTA_OIF])[0] if _RTA_OIF in attributes else 0
            destination = attributes.get(_RTA_DST)
            if destination is None or family not in (socket.AF_INET, socket.AF_INET6):
                found.append(Route(None, device))
            else:
                found.append(Route(ipaddress.ip_network((destination, length)), device))
        return found

    # -- the exchange -----------------------------------------------------------------------------------------------

    def _request(self, kind: int, flags: int, body: bytes, what: str, *, absent: bool = False) -> None:
        try:
            for _ in self._exchange(kind, _REQUEST | _ACK | flags, body, what):
                pass
        except NetlinkError as error:
            if not (absent and error.errno in (errno.ENODEV, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ESRCH)):
                raise

    def _exchange(self, kind: int, flags: int, body: bytes, what: str) -> Iterator[bytes]:
        self._sequence += 1
        sequence = self._sequence
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body)
        answers: list[bytes] = []
        while True:
            received = self._socket.recv(65536)
            offset = 0
            while offset + _HEADER.size <= len(received):
                length, type_, _, number, _ = _HEADER.unpack_from(received, offset)
                content = received[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3
                if number != sequence:
                    continue  # the tail of an exchange that was cut short
                if type_ == _NLMSG_ERROR:
                    code = struct.unpack_from("=i", content)[0]
                    if code:
                        raise NetlinkError(-code, what)
                    return iter(answers)
                if type_ == _NLMSG_DONE:
                    return iter(answers)
                answers.append(content)


def u32(kind: int, value: int) -> bytes:
    """One attribute that is a number, for the data of a kind of link."""
    return _u32(kind, value)


def u16(kind: int, value: int) -> bytes:
    """The same with 16 bits."""
    return _attribute(kind, struct.pack("=H", value))


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTR.pack(_ATTR.size + len(value), kind) + value + bytes(-len(value) % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _u32(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _kind(name: str) -> bytes:
    return _attribute(_IFLA_LINKINFO | _NESTED, _attribute(_INFO_KIND, name.encode()))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def attributes_of(data: bytes) -> dict[int, bytes]:
    """The attributes of a message by kind, flags removed (netlink(7)); what is cut short ends the list."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTR.size <= len(data):
        length, kind = _ATTR.unpack_from(data, offset)
        if length < _ATTR.size:
            break
        found[kind & 0x3FFF] = data[offset + _ATTR.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _link(message: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(message)
    attributes = attributes_of(message[_IFINFO.size :])
    info = attributes_of(attributes.get(_IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=attributes[_IFLA_IFNAME].rstrip(b"\0").decode(),
        kind=info.get(_INFO_KIND, b"").rstrip(b"\0").decode(),
        master=struct.unpack("=I", attributes[_IFLA_MASTER])[0] if _IFLA_MASTER in attributes else 0,
        mtu=struct.unpack("=I", attributes[_IFLA_MTU])[0],
        mac=attributes.get(_IFLA_ADDRESS, b"").hex(":"),
        up=bool(flags & IFF_UP),
        alias=attributes.get(_IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace"),
    )
