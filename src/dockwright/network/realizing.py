"""Making a stored sandbox true: its links, default routes, published ports and names. Any number of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dockwright import faults
from dockwright.errors import Conflict, HostFailure
from dockwright.network.dns import Dns, Names
from dockwright.network.dns.names import Scope, names_of
from dockwright.network.dns.server import Asker
from dockwright.network.driver import NetworkDriver
from dockwright.network.drivers.interface import route_by
from dockwright.network.model import Endpoint, Network, Sandbox
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink
from dockwright.network.publishing import Publishing, Way
from dockwright.tasks import Background


class Realizer:
    """Makes the kernel, the published ports and the resolvers of one daemon agree with sandboxes as stored."""

    def __init__(
        self,
        drivers: Mapping[str, NetworkDriver],
        namespaces: Namespaces,
        publishing: Publishing,
        background: Background,
        network_of: Callable[[str], Network],
    ) -> None:
        """`network_of` finds a network by its id."""
        self._drivers = drivers
        self._namespaces = namespaces
        self._publishing = publishing
        self._network_of = network_of
        self._names = Names()
        self._dns = Dns(namespaces, self._names, background)

    async def realize(self, sandbox: Sandbox) -> None:
        """Make the kernel, the published ports and the names agree with a stored sandbox. May be run again."""
        for endpoint in sandbox.endpoints:
            network = self._network_of(endpoint.network_id)
            await self._drivers[network.driver].attach(network, endpoint)
        if len(sandbox.endpoints) > 1:  # one alone has set its own route
            faults.point("network.routes")
            await self._namespaces.run(lambda: self.route(sandbox))
        try:
            await self._publishing.publish(sandbox.container_id, sandbox.ports, self.way(sandbox))
        except Conflict as error:
            raise Conflict(
                f"driver failed programming external connectivity on endpoint {sandbox.name}: {error}"
            ) from error
        self.name(sandbox)
        scopes = self.scopes(sandbox)
        if scopes:
            outward = any(self._gateway(sandbox, version) is not None for version in (4, 6))
            await self._dns.serve(sandbox, Asker(sandbox.handle, scopes, sandbox.resolver.servers, outward))

    def route(self, sandbox: Sandbox) -> None:
        """The default routes of a sandbox; runs in the namespace thread."""
        self._namespaces.enter(sandbox.handle)
        with Netlink() as inner:
            for version in (4, 6):
                found = self._gateway(sandbox, version)
                if found is None:
                    if version == 4 or any(":" in e.address6 for e in sandbox.endpoints):
                        inner.delete_default_route(version)
                    continue
                _, endpoint = found
                link = inner.link(endpoint.interface)
                if link is None:
                    raise HostFailure(f"{endpoint.interface} is gone from {sandbox.handle}")
                route_by(inner, link.index, endpoint.gateway if version == 4 else endpoint.gateway6)

    # -- the way out ----------------------------------------------------------------------------------------------------

    def _in_order(self, sandbox: Sandbox) -> list[tuple[Network, Endpoint]]:
        """Its endpoints by gateway priority, those of one priority by the name of the network."""
        found = [(self._network_of(endpoint.network_id), endpoint) for endpoint in sandbox.endpoints]
        return sorted(found, key=lambda one: (-one[1].join.gateway_priority, one[0].name))

    def _gateway(self, sandbox: Sandbox, version: int) -> tuple[Network, Endpoint] | None:
        """The endpoint with the default route of one address family."""
        for network, endpoint in self._in_order(sandbox):
            if endpoint.gateway if version == 4 else endpoint.gateway6:
                return network, endpoint
        return None

    def way(self, sandbox: Sandbox) -> Way:
        """Where its published ports lead."""
        v4, v6 = self._gateway(sandbox, 4), self._gateway(sandbox, 6)
        return Way(
            v4 if v4 is not None and v4[0].driver == "bridge" else None,
            v6 if v6 is not None and v6[0].driver == "bridge" else None,
        )

    # -- names ----------------------------------------------------------------------------------------------------------

    def name(self, sandbox: Sandbox) -> None:
        """Have its endpoints found by their names."""
        for endpoint in sandbox.endpoints:
            if not self._network_of(endpoint.network_id).predefined:
                self._names.add(endpoint.network_id, names_of(sandbox, endpoint), endpoint)

    def unname(self, sandbox: Sandbox) -> None:
        """Have nobody find it, and answer it no more."""
        self._dns.stop(sandbox.container_id)
        for endpoint in sandbox.endpoints:
            self._names.remove(endpoint)

    def scopes(self, sandbox: Sandbox) -> tuple[Scope, ...]:
        """The networks whose names it sees."""
        return tuple(
            Scope(
                network.id,
                network.name,
                tuple(subnet.network for subnet in network.subnets),
                tuple(
                    (alias or target, target)
                    for target, _, alias in (link.partition(":") for link in endpoint.join.links)
                ),
            )
            for network, endpoint in self._in_order(sandbox)
            if not network.predefined
        )

    def forget(self, endpoint: Endpoint) -> None:
        """Nobody finds this endpoint by a name any more."""
        self._names.remove(endpoint)

    def close(self) -> None:
        """Answer nobody any more."""
        self._dns.close()
