"""Published ports: host ports held, translated by the packet filter where it can, relayed by the daemon where it cannot.

A container's ports lead to the endpoints that have its default routes, one for each address family, and move when those do.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from dockwright import faults, workers
from dockwright.network import conntrack
from dockwright.network.drivers.settings import BridgeSettings
from dockwright.network.firewall import Firewall, Opening, Rule, Translation
from dockwright.network.model import Endpoint, Network, PortRequest, PublishedPort
from dockwright.network.ports import HostPorts
from dockwright.network.relay import Relay, Target


@dataclass(frozen=True, slots=True)
class Way:
    """Where a container's ports lead: its gateway endpoint of each family, each with its network."""

    v4: tuple[Network, Endpoint] | None = None
    v6: tuple[Network, Endpoint] | None = None

    @property
    def open(self) -> bool:
        """Whether there is a way at all."""
        return self.v4 is not None or self.v6 is not None

    @property
    def endpoint4(self) -> Endpoint | None:
        return self.v4[1] if self.v4 else None

    @property
    def endpoint6(self) -> Endpoint | None:
        return self.v6[1] if self.v6 else None

    def settings(self, version: int) -> BridgeSettings:
        """The options of the network of one family."""
        chosen = self.v4 if version == 4 else self.v6
        return BridgeSettings.of(chosen[0]) if chosen else BridgeSettings()


class Publishing:
    """The published ports of one daemon by container. Only bridge networks publish; elsewhere `Way.open` is false."""

    def __init__(
        self, firewall: Firewall | None, ports: HostPorts, relay: Relay, *, local: bool = True, direct: bool = False
    ) -> None:
        """`firewall` None: every port is relayed. `local`: relay what comes from [::1], too. `direct`: published ports are
        also reached at the containers' own addresses."""
        self._local = local
        self._direct = direct
        self._firewall = firewall
        self._ports = ports
        self._relay = relay
        self._rules: dict[str, tuple[Rule, ...]] = {}
        #: Host ports by container: given back once, whoever has them by then.
        self._held: dict[str, set[PublishedPort]] = {}

    def reserve(self, container_id: str, requests: Iterable[PortRequest], way: Way) -> tuple[PublishedPort, ...]:
        """Hold a host port for each request, all or none. Raises `Conflict`, `Invalid`, `Unsupported`."""
        if not way.open:
            return ()
        routed = {version for version in (4, 6) if way.settings(version).modes[version] == "routed"}
        binding = way.settings(4).binding
        held: list[PublishedPort] = []
        try:
            for request in requests:
                held += self._ports.reserve(
                    request, default_ip=str(binding or ""), routed=routed, ipv6=way.endpoint6 is not None
                )
        except BaseException:
            self._ports.release(held)
            raise
        self._held.setdefault(container_id, set()).update(held)
        return tuple(held)

    def release(self, container_id: str, ports: Iterable[PublishedPort] | None = None) -> None:
        """Let host ports of a container go, all by default; ones that it does not hold are no error."""
        held = self._held.get(container_id, set())
        gone = held & set(ports) if ports is not None else set(held)
        self._ports.release(gone)
        held -= gone
        if not held:
            self._held.pop(container_id, None)

    def adopt(self, container_id: str, ports: tuple[PublishedPort, ...]) -> list[str]:
        """Hold ports of a container that outlived the daemon; a warning for each one somebody else took."""
        self._held.setdefault(container_id, set()).update(ports)
        return self._ports.adopt(ports)

    def recall(self, container_id: str, ports: tuple[PublishedPort, ...], way: Way) -> None:
        """A stored container's ports were published by a former daemon: the table's next making has them from the start."""
        rules = tuple(rule for port in ports for rule in self._rules_of(port, way))
        self._rules[container_id] = rules
        if self._firewall is not None:
            self._firewall.know(rules)

    async def publish(self, container_id: str, ports: tuple[PublishedPort, ...], way: Way) -> None:
        """Make the container's published ports exactly these, leading this way. May be run again."""
        before = set(self._rules.get(container_id, ()))
        after = tuple(rule for port in ports for rule in self._rules_of(port, way))
        if self._firewall is not None and (after or before):
            faults.point("network.publish")
            await self._forget(before.difference(after))
            self._rules[container_id] = after
            await self._firewall.add(after)
            await self._forget_connections(set(after) - before)
        await self._relay.keep(container_id, dict(self._relays_of(ports, way)), ports)

    async def withdraw(self, container_id: str) -> None:
        """Publish nothing of a container any more; its host ports stay held. May be run again."""
        self._relay.stop(container_id)
        await self._forget(set(self._rules.get(container_id, ())))
        self._rules.pop(container_id, None)

    async def aclose(self) -> None:
        """End relays and let every host port go; what the kernel translates stays."""
        await self._relay.aclose()
        self._ports.close()

    async def _forget(self, rules: set[Rule]) -> None:
        if rules and self._firewall is not None:
            await self._firewall.withdraw(rules)
            await self._forget_connections(rules)

    async def _forget_connections(self, rules: set[Rule]) -> None:
        ports = [(rule.protocol, rule.host_port) for rule in rules if isinstance(rule, Translation)]
        if any(protocol != "tcp" for protocol, _ in ports):
            await workers.quick(conntrack.forget, ports)

    def _rules_of(self, port: PublishedPort, way: Way) -> Iterable[Rule]:
        version = ipaddress.ip_address(port.host_ip).version
        endpoint = way.endpoint4 if version == 4 else way.endpoint6
        target = None if endpoint is None else endpoint.ip if version == 4 else endpoint.ip6
        if target is None or self._firewall is None:
            return
        if port.host_port == 0:
            yield Opening(port.protocol, target, port.container_port)
        else:
            host_ip = ipaddress.ip_address(port.host_ip)
            yield Translation(port.protocol, host_ip, port.host_port, target, port.container_port)
            if self._direct:
                yield Opening(port.protocol, target, port.container_port)

    def _relays_of(
        self, ports: tuple[PublishedPort, ...], way: Way
    ) -> Iterable[tuple[PublishedPort, tuple[socket.socket, Target]]]:
        """Every port when there is no packet filter; else [::] of the host towards a container without IPv6, and [::1] of it
        in any case: the kernel sends nothing from ::1 to another interface. What is translated never gets to the relay."""
        for port in ports:
            translated = any(True for _ in self._rules_of(port, way))
            local = ":" in port.host_ip and ipaddress.ip_address(port.host_ip) in _LOCAL
            held = self._ports.held(port)
            if port.host_port == 0 or held is None or (translated and not (local and self._local)):
                continue
            target = way.endpoint4.ip if way.endpoint4 else None
            target6 = way.endpoint6.ip6 if way.endpoint6 else None
            if target or target6:
                yield port, (held, (str(target or target6), port.container_port))


_LOCAL = (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1"))
