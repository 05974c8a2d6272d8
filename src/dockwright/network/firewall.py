"""The packet filter of one bridge: a table of its own, its rules constant, its published ports elements of maps.

    table inet dockwright_<bridge>
      map ports4, ports6    protocol . host address . host port  ->  container address . container port
      map any4,   any6      protocol . host port                 ->  container address . container port
      guard (raw)           nothing from the bridge reaches 127.0.0.0/8, which route_localnet would allow
      prerouting, output    destination NAT through the maps
      postrouting           masquerade: what leaves the subnet; what the host or a neighbour sent to a published port
      forward               towards the bridge: replies, published ports, neighbours; nothing else

An accept here only ends this table's say: another table of the host may still drop the packet. Frames between two ports of
one bridge do not pass these chains; `icc=false` is the bridge's port isolation.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dockwright.network.nft import Nft, NftError


@dataclass(frozen=True, slots=True)
class Mapping:
    """One published port: `host_ip` unspecified (0.0.0.0 or ::) means every address of the host."""

    protocol: str
    host_ip: ipaddress.IPv4Address | ipaddress.IPv6Address
    host_port: int
    container_ip: ipaddress.IPv4Address | ipaddress.IPv6Address
    container_port: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """What the rules of one bridge depend on."""

    name: str
    subnets: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    masquerade: bool = True
    icc: bool = True
    internal: bool = False


class Firewall:
    """The table of one bridge. Every method is one transaction."""

    def __init__(self, nft: Nft, bridge: Bridge) -> None:
        self._nft = nft
        self._bridge = bridge
        self.table = table_name(bridge.name)

    async def rebuild(self, mappings: Iterable[Mapping]) -> None:
        """Replace the table, whatever it held, by the rules and these mappings."""
        await self._nft.run(ruleset(self.table, self._bridge, mappings))

    async def publish(self, mappings: Iterable[Mapping]) -> None:
        """Add mappings; one that is there already is no error. The table must exist."""
        await self._nft.run("\n".join(f"add element inet {self.table} {line}" for line in _elements(mappings)))

    async def withdraw(self, mappings: Iterable[Mapping]) -> None:
        """Remove mappings; ones that are gone are no error."""
        lines = list(_elements(mappings, keys_only=True))
        try:
            await self._nft.run("\n".join(f"delete element inet {self.table} {line}" for line in lines))
        except NftError as error:
            if not error.absent:
                raise
            for line in lines:
                await self._withdraw_one(line)

    async def remove(self) -> None:
        """Delete the table; no error when it is gone."""
        await self._nft.run(f"add table inet {self.table}\ndelete table inet {self.table}")

    async def _withdraw_one(self, line: str) -> None:
        try:
            await self._nft.run(f"delete element inet {self.table} {line}")
        except NftError as error:
            if not error.absent:
                raise


def table_name(bridge: str) -> str:
    """The table of `bridge`: two daemons with two bridges have two tables."""
    return "dockwright_" + re.sub(r"[^A-Za-z0-9_]", "_", bridge)


def ruleset(table: str, bridge: Bridge, mappings: Iterable[Mapping]) -> str:
    """The transaction that replaces the table."""
    elements = "\n".join(f"add element inet {table} {line}" for line in _elements(mappings))
    return f"""
add table inet {table}
delete table inet {table}
table inet {table} {{
    map ports4 {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }}
    map any4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map ports6 {{ type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }}
    map any6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
    chain guard {{
        type filter hook prerouting priority raw; policy accept;
        iifname "{bridge.name}" ip daddr 127.0.0.0/8 drop
        iifname "{bridge.name}" ip saddr 127.0.0.0/8 drop
    }}
    chain published {{
        meta l4proto != {{ tcp, udp, sctp }} return
        dnat ip to meta l4proto . ip daddr . th dport map @ports4
        dnat ip to meta l4proto . th dport map @any4
        dnat ip6 to meta l4proto . ip6 daddr . th dport map @ports6
        dnat ip6 to meta l4proto . th dport map @any6
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr 127.0.0.0/8 return
        fib daddr type local jump published
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        ip6 daddr ::1 return
        fib daddr type local jump published
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        {_postrouting(bridge)}
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        {_forward(bridge)}
    }}
}}
{elements}
"""


def _postrouting(bridge: Bridge) -> str:
    lines = [f'oifname "{bridge.name}" ip saddr 127.0.0.0/8 masquerade']
    for subnet in bridge.subnets:
        family = "ip" if subnet.version == 4 else "ip6"
        # A neighbour (or the container itself) that came through a published port must be answered through the host.
        lines.append(f'oifname "{bridge.name}" {family} saddr {subnet} ct status dnat masquerade')
        if bridge.masquerade and not bridge.internal:
            lines.append(f'{family} saddr {subnet} oifname != "{bridge.name}" masquerade')
    return "\n        ".join(lines)


def _forward(bridge: Bridge) -> str:
    name = bridge.name
    inside = "accept" if bridge.icc else "ct status dnat accept"
    if bridge.internal:
        return f'iifname "{name}" oifname != "{name}" drop\n        oifname "{name}" iifname != "{name}" drop'
    return "\n        ".join(
        (
            f'iifname "{name}" oifname != "{name}" accept',
            f'oifname != "{name}" accept',
            "ct state established,related accept",
            "ct status dnat accept",
            f'iifname "{name}" {inside}',
            "drop",
        )
    )


def _elements(mappings: Iterable[Mapping], *, keys_only: bool = False) -> Iterable[str]:
    for mapping in mappings:
        key = f"{mapping.protocol} . {mapping.host_port}"
        name = f"any{mapping.container_ip.version}"
        if not mapping.host_ip.is_unspecified:
            key = f"{mapping.protocol} . {mapping.host_ip} . {mapping.host_port}"
            name = f"ports{mapping.container_ip.version}"
        value = "" if keys_only else f" : {mapping.container_ip} . {mapping.container_port}"
        yield f"{name} {{ {key}{value} }}"
