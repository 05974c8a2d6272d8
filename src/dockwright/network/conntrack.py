"""Forgetting connections: an entry of connection tracking decides where later datagrams go, whatever the rules say by then.

A UDP client that keeps sending from one port would go on reaching the host itself after a port is published, and a container
that is gone after it is not (TCP begins anew). ctnetlink: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator

from dockwright.errors import HostFailure
from dockwright.network.netlink import attributes_of

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_HEADER = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NETLINK_NETFILTER = 12
_CTA_TUPLE_ORIG, _CTA_TUPLE_PROTO, _CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 2, 1, 3
_PROTOCOLS = {"udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}


def forget(ports: Iterable[tuple[str, int]]) -> int:
    """Drop every tracked connection towards these (protocol, host port); TCP is left alone. Blocking; reads the table once.

    Returns how many were dropped. Raises `HostFailure`.
    """
    wanted = {(_PROTOCOLS[protocol], port) for protocol, port in ports if protocol in _PROTOCOLS}
    if not wanted:
        return 0
    dropped = 0
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as netlink:
            netlink.bind((0, 0))
            for family in (socket.AF_INET, socket.AF_INET6):
                for original in list(_matching(netlink, family, wanted)):
                    _delete(netlink, family, original)
                    dropped += 1
    except OSError as error:
        raise HostFailure(f"connection tracking: {(error.strerror or str(error)).lower()}") from error
    return dropped


def _matching(netlink: socket.socket, family: int, wanted: set[tuple[int, int]]) -> Iterator[bytes]:
    """The original tuples, as raw attributes, of connections to a wanted port."""
    netlink.send(_HEADER.pack(_HEADER.size + 4, _GET, _REQUEST | _DUMP, 1, 0) + bytes((family, 0, 0, 0)))
    while True:
        received = netlink.recv(1 << 20)
        for kind, content in _messages(received):
            if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                return
            original = attributes_of(content[4:]).get(_CTA_TUPLE_ORIG)
            if original is None:
                continue
            protocol = attributes_of(attributes_of(original).get(_CTA_TUPLE_PROTO, b""))
            number, port = protocol.get(_CTA_PROTO_NUM, b"\0")[0], protocol.get(_CTA_PROTO_DST_PORT, b"\0\0")
            if (number, int.from_bytes(port[:2], "big")) in wanted:
                yield original


def _delete(netlink: socket.socket, family: int, original: bytes) -> None:
    attribute = _ATTR.pack(_ATTR.size + len(original), _CTA_TUPLE_ORIG | 0x8000) + original + bytes(-len(original) % 4)
    body = bytes((family, 0, 0, 0)) + attribute
    netlink.send(_HEADER.pack(_HEADER.size + len(body), _DELETE, _REQUEST | _ACK, 2, 0) + body)
    netlink.recv(65536)  # it may have expired meanwhile: any answer will do


def _messages(received: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(received):
        length, kind, _, _, _ = _HEADER.unpack_from(received, offset)
        yield kind, received[offset + _HEADER.size : offset + length]
        offset += max(_HEADER.size, (length + 3) & ~3)
