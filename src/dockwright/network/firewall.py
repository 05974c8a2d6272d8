"""The packet filter of one daemon: one table of its own; networks are elements of verdict maps, published ports of maps.

    table inet dockwright_<default bridge>
      map ports4, ports6    protocol . host address . host port  ->  container address . container port
      map any4,   any6      protocol . host port                 ->  container address . container port
      set open4,  open6     protocol . container address . port: reached from outside without translation (mode `routed`)
      set from4,  from6     who may use published ports (`publish-from`)
      set bridges, map leaving, entering, behind     interface  ->  the chain of that bridge: one look-up for any number
      set masked4, masked6                           subnets that are masqueraded
      map sources4, sources6                         subnet     ->  the address to use instead (host_ipv4, host_ipv6)
      guard (raw)           nothing from a bridge reaches 127.0.0.0/8, which route_localnet would allow
      prerouting, output    destination NAT through the maps
      postrouting           masquerade: what leaves the subnets; what the host or a neighbour sent to a published port
      forward               out of an internal bridge: nothing; into a bridge: replies, published ports, neighbours, no more

An accept here only ends this table's say: another table of the host may still drop the packet. Frames between two ports of
one bridge do not pass these chains unless br_netfilter makes them; `icc=false` is the bridge's port isolation.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dockwright.network.model import Address, IpNetwork
from dockwright.network.nft import Nft, NftError


@dataclass(frozen=True, slots=True)
class Translation:
    """One published port: `host_ip` unspecified (0.0.0.0 or ::) means every address of the host."""

    protocol: str
    host_ip: Address
    host_port: int
    container_ip: Address
    container_port: int


@dataclass(frozen=True, slots=True)
class Opening:
    """One port of a container that is reached at its own address."""

    protocol: str
    container_ip: Address
    container_port: int


Rule = Translation | Opening


@dataclass(frozen=True, slots=True)
class Bridge:
    """What the rules of one bridge depend on. `modes` by address family; `sources` to use instead of masquerading.

    `direct`: published ports are reached at the containers' own addresses too; `limited`: by those in `from4` and `from6`
    alone; `mark`: what carries it is let in.
    """

    name: str
    subnets: tuple[IpNetwork, ...]
    masquerade: bool = True
    icc: bool = True
    internal: bool = False
    modes: Mapping[int, str] = field(default_factory=dict)
    sources: Mapping[int, str] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    direct: bool = False
    limited: bool = False
    mark: str = ""


class Firewall:
    """The table of one daemon. Every change is one transaction; a table somebody else removed is made again by it."""

    def __init__(self, nft: Nft, name: str, publish_from: Iterable[IpNetwork] = ()) -> None:
        """`name` is the default bridge's; `publish_from` the only sources that reach published ports, empty for all."""
        self.table = table_name(name)
        self._nft = nft
        self._from = tuple(publish_from)
        self._bridges: dict[str, Bridge] = {}
        self._rules: dict[Rule, None] = {}
        self._made = False
        self._gathering = False

    @asynccontextmanager
    async def gathered(self) -> AsyncIterator[None]:
        """Changes within the context become one: the whole table is made again at its end."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
        if self._bridges:
            await self.rebuild()

    def know(self, rules: Iterable[Rule]) -> None:
        """Take published ports that the table will hold from its next making on."""
        self._rules |= dict.fromkeys(rules)

    @property
    def bridges(self) -> tuple[str, ...]:
        """The names of the bridges in the table."""
        return tuple(self._bridges)

    async def rebuild(self) -> None:
        """Replace the table, whatever it held, by what is known here."""
        await self._nft.run(ruleset(self.table, self._bridges.values(), self._rules, self._from))
        self._made = True

    async def add_bridge(self, bridge: Bridge) -> None:
        """Add a bridge, or replace what is known of it."""
        known = bridge.name in self._bridges
        self._bridges[bridge.name] = bridge
        if self._gathering:
            return
        if known or not self._made:
            await self.rebuild()
        else:
            await self._change(_added(self.table, bridge))

    async def remove_bridge(self, name: str) -> None:
        """Remove a bridge; one that is not there is no error. With the last one the table goes."""
        bridge = self._bridges.pop(name, None)
        if bridge is None:
            return
        if self._bridges:
            await self._change(_removed(self.table, bridge))
        else:
            await self.remove()

    async def add(self, rules: Iterable[Rule]) -> None:
        """Publish; what is published already is no error."""
        wanted = list(rules)
        self._rules |= dict.fromkeys(wanted)
        await self._change(_elements("add", self.table, wanted))

    async def withdraw(self, rules: Iterable[Rule]) -> None:
        """Publish no longer; what is gone is no error."""
        gone = [rule for rule in rules if rule in self._rules]
        for rule in gone:
            del self._rules[rule]
        await self._change(_elements("delete", self.table, gone))

    async def remove(self) -> None:
        """Delete the table; no error when it is gone."""
        self._made = False
        await self._nft.run(f"add table inet {self.table}\ndelete table inet {self.table}")

    async def _change(self, commands: str) -> None:
        if not commands or self._gathering:
            return
        try:
            await self._nft.run(commands)
        except NftError:
            await self.rebuild()  # the table, or a part of it, is not as we left it


def table_name(bridge: str) -> str:
    """The table of the daemon whose default bridge is `bridge`: two daemons have two tables."""
    return "dockwright_" + re.sub(r"[^A-Za-z0-9_]", "_", bridge)


def ruleset(table: str, bridges: Iterable[Bridge], rules: Iterable[Rule], publish_from: Iterable[IpNetwork]) -> str:
    """The transaction that replaces the table."""
    sources = list(publish_from)
    return (
        f"""
add table inet {table}
delete table inet {table}
table inet {table} {{
    map ports4 {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }}
    map any4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map ports6 {{ type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }}
    map any6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
    set open4 {{ type inet_proto . ipv4_addr . inet_service; }}
    set open6 {{ type inet_proto . ipv6_addr . inet_service; }}
    set from4 {{ type ipv4_addr; flags interval; auto-merge; {_among(sources, 4)} }}
    set from6 {{ type ipv6_addr; flags interval; auto-merge; {_among(sources, 6)} }}
    set bridges {{ type ifname; }}
    map leaving {{ type ifname : verdict; }}
    map entering {{ type ifname : verdict; }}
    map behind {{ type ifname : verdict; }}
    set masked4 {{ type ipv4_addr; flags interval; }}
    set masked6 {{ type ipv6_addr; flags interval; }}
    map sources4 {{ type ipv4_addr : ipv4_addr; flags interval; }}
    map sources6 {{ type ipv6_addr : ipv6_addr; flags interval; }}
    chain guard {{
        type filter hook prerouting priority raw; policy accept;
        iifname @bridges ip daddr 127.0.0.0/8 drop
        iifname @bridges ip saddr 127.0.0.0/8 drop
    }}
    chain published {{
        meta l4proto != {{ tcp, udp, sctp }} return
        dnat ip to meta l4proto . ip daddr . th dport map @ports4
        dnat ip to meta l4proto . th dport map @any4
        dnat ip6 to meta l4proto . ip6 daddr . th dport map @ports6
        dnat ip6 to meta l4proto . th dport map @any6
    }}
    chain asked {{
        {_admission(sources)}
        jump published
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr 127.0.0.0/8 return
        fib daddr type local jump asked
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        ip6 daddr ::1 return
        fib daddr type local jump published
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname vmap @behind
        ip saddr @masked4 masquerade
        ip6 saddr @masked6 masquerade
        snat ip to ip saddr map @sources4
        snat ip6 to ip6 saddr map @sources6
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname vmap @leaving
        oifname vmap @entering
    }}
}}
"""
        + "".join(_added(table, bridge) for bridge in bridges)
        + _elements("add", table, rules)
    )


def _among(sources: Iterable[IpNetwork], version: int) -> str:
    mine = ", ".join(str(source) for source in sources if source.version == version)
    return f"elements = {{ {mine} }};" if mine else ""


def _admission(sources: list[IpNetwork]) -> str:
    """Neighbours on our own bridges and the named sources reach published ports; to others nothing is published."""
    if not sources:
        return ""
    return "iifname @bridges jump published\n        ip saddr != @from4 return\n        ip6 saddr != @from6 return"


def _chains(name: str) -> dict[str, str]:
    """The chains of a bridge by the map that leads to each: what a chain may be called has no dots and dashes."""
    plain = re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", name)
    return {map_: f"{map_}_{plain}" for map_ in ("leaving", "entering", "behind")}


def _added(table: str, bridge: Bridge) -> str:
    chains = _chains(bridge.name)
    rules = {
        "leaving": _leaving(bridge),
        "entering": _entering(bridge),
        "behind": _behind(bridge),
    }
    lines = [f"add chain inet {table} {chain}" for chain in chains.values()]
    lines += [f"add rule inet {table} {chains[map_]} {rule}" for map_, found in rules.items() for rule in found]
    lines += [f"add element inet {table} {set_} {{ {key}{value} }}" for set_, key, value in _places(bridge)]
    return "\n".join(lines) + "\n"


def _removed(table: str, bridge: Bridge) -> str:
    chains = _chains(bridge.name)
    lines = [f"delete element inet {table} {set_} {{ {key} }}" for set_, key, _ in _places(bridge)]
    lines += [f"flush chain inet {table} {chain}\ndelete chain inet {table} {chain}" for chain in chains.values()]
    return "\n".join(lines) + "\n"


def _places(bridge: Bridge) -> Iterator[tuple[str, str, str]]:
    """Where a bridge is an element: set or map, key, and ` : value` for a map."""
    for map_, chain in _chains(bridge.name).items():
        yield map_, f'"{bridge.name}"', f" : jump {chain}"
    yield "bridges", f'"{bridge.name}"', ""
    for subnet in bridge.subnets:
        version = subnet.version
        if bridge.internal or bridge.modes.get(version) == "routed":
            continue
        if source := bridge.sources.get(version):
            yield f"sources{version}", str(subnet), f" : {source}"
        elif bridge.masquerade:
            yield f"masked{version}", str(subnet), ""


def _leaving(bridge: Bridge) -> list[str]:
    return [f'oifname != "{bridge.name}" drop'] if bridge.internal else []


def _entering(bridge: Bridge) -> list[str]:
    name = bridge.name
    inside = f'iifname "{name}" accept' if bridge.icc else f'iifname "{name}" ct status dnat accept'
    marked = [_marked(bridge.mark)] if bridge.mark else []
    if bridge.internal:
        return [inside, f'iifname "{name}" drop', *marked, "drop"]
    rules = [*marked, "ct state established,related accept", "ct status dnat accept", inside, f'iifname "{name}" drop']
    if bridge.trusted:
        rules.append("iifname { " + ", ".join(f'"{trusted}"' for trusted in bridge.trusted) + " } accept")
    for version, mode in bridge.modes.items():
        family, icmp = ("ip", "icmp") if version == 4 else ("ip6", "icmpv6")
        if mode == "nat-unprotected":
            rules.append(f"meta nfproto ipv{version} accept")
        elif mode == "routed" or bridge.direct:
            opened = f"meta l4proto . {family} daddr . th dport @open{version} accept"
            rules += [f"meta nfproto ipv{version} meta l4proto {icmp} accept"] if mode == "routed" else []
            rules += (
                [opened]
                if not bridge.limited
                else [f"iifname @bridges {opened}", f"{family} saddr @from{version} {opened}"]
            )
    return [*rules, "drop"]


def _marked(mark: str) -> str:
    value, _, mask = mark.partition("/")
    return f"meta mark & {mask} == {value} accept" if mask else f"meta mark {value} accept"


def _behind(bridge: Bridge) -> list[str]:
    """A neighbour (or the container itself) that came through a published port must be answered through the host."""
    rules = ["ip saddr 127.0.0.0/8 masquerade"]
    for subnet in bridge.subnets:
        family = _family(subnet)
        rules += [f"{family} saddr {subnet} ct status dnat masquerade", f"{family} saddr {subnet} accept"]
    return rules


def _family(subnet: IpNetwork) -> str:
    return "ip" if subnet.version == 4 else "ip6"


def _elements(verb: str, table: str, rules: Iterable[Rule]) -> str:
    """One command for each set: a thousand elements are parsed in one list much faster than in a thousand commands."""
    by_set: dict[str, list[str]] = {}
    for rule in rules:
        name, key, value = _element(rule)
        by_set.setdefault(name, []).append(key if verb == "delete" or not value else f"{key} : {value}")
    return "".join(f"{verb} element inet {table} {name} {{ {', '.join(keys)} }}\n" for name, keys in by_set.items())


def _element(rule: Rule) -> tuple[str, str, str]:
    version = rule.container_ip.version
    if isinstance(rule, Opening):
        return f"open{version}", f"{rule.protocol} . {rule.container_ip} . {rule.container_port}", ""
    value = f"{rule.container_ip} . {rule.container_port}"
    if rule.host_ip.is_unspecified:
        return f"any{version}", f"{rule.protocol} . {rule.host_port}", value
    return f"ports{version}", f"{rule.protocol} . {rule.host_ip} . {rule.host_port}", value
