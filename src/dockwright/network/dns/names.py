"""Who is called what on which network. Memory only: it follows from what is stored."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dockwright.network.model import Address, Endpoint, IpNetwork, Sandbox

GROUP_PREFIX = "tasks."


@dataclass(frozen=True, slots=True)
class Scope:
    """One network as an asker sees it, in the order in which names are looked for."""

    network_id: str
    network_name: str
    subnets: tuple[IpNetwork, ...] = ()
    #: Alias to the name it stands for: links of the asker on this network.
    links: tuple[tuple[str, str], ...] = ()


def names_of(sandbox: Sandbox, endpoint: Endpoint) -> tuple[str, ...]:
    """`DNSNames`: container name, aliases, short id, host name; each once, in this order.

    The full id is none: with 64 letters it is longer than a label may be (RFC 1035, 2.3.4).
    """
    names = [sandbox.name, *endpoint.join.aliases, sandbox.container_id[:12], sandbox.hostname]
    return tuple(dict.fromkeys(name for name in names if name))


class Names:
    """The names of every endpoint on networks that have names. A look-up takes the same time however many there are."""

    def __init__(self) -> None:
        #: Rises with every change: what was answered before it may be wrong after it.
        self.generation = 0
        self._endpoints: dict[str, tuple[str, tuple[str, ...], Endpoint]] = {}
        self._by_name: dict[tuple[str, str], dict[str, Endpoint]] = {}
        self._by_address: dict[tuple[str, Address], str] = {}
        self._known: Counter[str] = Counter()
        self._turns: Counter[tuple[str, str]] = Counter()

    def add(self, network_id: str, names: Iterable[str], endpoint: Endpoint) -> None:
        """Make an endpoint known by these names, instead of the ones it had."""
        self.remove(endpoint)
        given = tuple(names)
        whole = tuple(dict.fromkeys(name.lower() for name in given))
        self.generation += 1
        self._endpoints[endpoint.endpoint_id] = (network_id, whole, endpoint)
        for name in whole:
            self._by_name.setdefault((network_id, name), {})[endpoint.endpoint_id] = endpoint
            self._known[name] += 1
        for address in (endpoint.ip, endpoint.ip6):
            if address is not None:
                self._by_address[network_id, address] = given[0]

    def remove(self, endpoint: Endpoint) -> None:
        """Forget an endpoint; one that is not known is no error."""
        found = self._endpoints.pop(endpoint.endpoint_id, None)
        if found is None:
            return
        self.generation += 1
        network_id, names, known = found
        for name in names:
            same = self._by_name[network_id, name]
            same.pop(endpoint.endpoint_id)
            if not same:
                del self._by_name[network_id, name]
                self._turns.pop((network_id, name), None)
            self._known[name] -= 1
            if not self._known[name]:
                del self._known[name]
        for address in (known.ip, known.ip6):
            if address is not None:
                self._by_address.pop((network_id, address), None)

    def find(self, scopes: Iterable[Scope], name: str) -> list[Endpoint] | None:
        """The endpoints of that name in the first network that has it, the first one another each time.

        `name`, `name.network` and `tasks.name` mean the same. Empty when the name is one of ours but not on these networks;
        None when it is nobody's here.
        """
        plain = name.lower().rstrip(".")
        for candidate in (plain, plain.removeprefix(GROUP_PREFIX)):
            for scope in scopes:
                if found := self._in(scope, candidate):
                    return found
        return [] if plain in self._known else None

    def reverse(self, scopes: Iterable[Scope], address: Address) -> str | None:
        """`name.network` of an address on these networks; "" for one of their subnets that nobody has; None when not ours."""
        ours = False
        for scope in scopes:
            if name := self._by_address.get((scope.network_id, address)):
                return f"{name}.{scope.network_name}"
            ours = ours or any(address.version == subnet.version and address in subnet for subnet in scope.subnets)
        return "" if ours else None

    def _in(self, scope: Scope, name: str) -> list[Endpoint]:
        candidates = [name]
        suffix = "." + scope.network_name.lower()
        if name.endswith(suffix):
            candidates.append(name.removesuffix(suffix))
        for candidate in candidates:
            target = next((target for alias, target in scope.links if alias.lower() == candidate), candidate)
            key = (scope.network_id, target.lower())
            if found := self._by_name.get(key):
                turn = self._turns[key] % len(found)
                self._turns[key] += 1
                members = list(found.values())
                return members[turn:] + members[:turn]
        return []


def parse_reverse(name: str) -> Address | None:
    """The address a name below in-addr.arpa or ip6.arpa stands for (RFC 1035, 3.5; RFC 3596, 2.5), or None."""
    plain = name.lower().rstrip(".")
    try:
        if plain.endswith(".in-addr.arpa"):
            return ipaddress.IPv4Address(".".join(reversed(plain.removesuffix(".in-addr.arpa").split("."))))
        if plain.endswith(".ip6.arpa"):
            digits = "".join(reversed(plain.removesuffix(".ip6.arpa").split(".")))
            return ipaddress.IPv6Address(bytes.fromhex(digits)) if len(digits) == 32 else None
    except ValueError:
        return None
    return None
