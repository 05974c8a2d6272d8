"""Containers on networks: attach and detach a whole container, connect and disconnect one network of a running one.

A change is stored before it is made true, and told to the kernel in an order in which traffic never arrives at nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from dockwright import faults
from dockwright.errors import Conflict, DockwrightError, Forbidden, Invalid, NotFound
from dockwright.network.defaults import DEFAULT_NETWORK
from dockwright.network.driver import NetworkDriver, Seat
from dockwright.network.model import (
    Attachment,
    AttachRequest,
    Endpoint,
    Join,
    Network,
    PortRequest,
    PublishedPort,
    Sandbox,
    new_id,
)
from dockwright.network.namespaces import Namespaces
from dockwright.network.places import place
from dockwright.network.publishing import Publishing, Way
from dockwright.network.realizing import Realizer
from dockwright.network.table import NetworkTable
from dockwright.network.teardown import Remains, Teardown
from dockwright.tasks import Background
from dockwright.undo import UndoStack


class Sandboxes:
    """The containers on the networks of one daemon. The verbs of one container come one after another: its owner sees to it."""

    def __init__(
        self,
        table: NetworkTable,
        drivers: dict[str, NetworkDriver],
        namespaces: Namespaces,
        teardown: Teardown,
        background: Background,
        publishing: Publishing,
    ) -> None:
        self._table = table
        self._drivers = drivers
        self._namespaces = namespaces
        self._teardown = teardown
        self._background = background
        self._publishing = publishing
        self._real = Realizer(drivers, namespaces, publishing, background, self._by_id)
        self._networks: dict[str, Network] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        #: Networks that somebody is about to join, by id: they cannot be removed meanwhile.
        self._joining: Counter[str] = Counter()

    # -- a whole container ------------------------------------------------------------------------------------------

    async def attach(self, container_id: str, request: AttachRequest) -> Attachment:
        """Connect a container that is about to start; when it is connected already, make it true again.

        Raises `NotFound` for a network that is not there, `Invalid` for a request it cannot fulfil, `Conflict` for a
        port in use (with Docker's words), `Unavailable` when addresses have run out, `HostFailure` when the kernel
        refuses. A failed or cancelled call leaves nothing behind.
        """
        existing = self._sandboxes.get(container_id)
        if existing is not None:
            await self._real.realize(existing)
            return self._attachment(existing)
        joins = [(self._joinable(join.network), join) for join in request.joins]
        with self._held(network for network, _ in joins):
            async with UndoStack() as undo:
                sandbox = await self._reserve(container_id, request, joins, undo)
                faults.point("network.persist")
                undo.push_undo(self._erase, sandbox)
                await self._store(sandbox)
                undo.push_undo(self._publishing.withdraw, container_id)
                undo.callback(self._real.unname, sandbox)
                await self._real.realize(sandbox)
                undo.release()
        return self._attachment(sandbox)

    async def detach(self, container_id: str) -> None:
        """Disconnect a container that has ended: its ports are free when this returns, the rest goes in the background.

        One that is not connected is no error.
        """
        sandbox = self._sandboxes.get(container_id)
        if sandbox is None:
            return
        self._real.unname(sandbox)
        await self._publishing.withdraw(container_id)
        for endpoint in sandbox.endpoints:
            network = self._by_id(endpoint.network_id)
            await self._drivers[network.driver].detach(network, endpoint)
        self._publishing.release(container_id)
        self._teardown.add(Remains(sandbox=sandbox.handle))
        faults.point("network.forget")
        await self._erase(sandbox)

    # -- one network of a running container ----------------------------------------------------------------------------

    async def connect(self, container_id: str, join: Join) -> Attachment:
        """Join one more network. Raises as `attach`, and `Forbidden` when it is on that network already.

        A failed or cancelled call leaves the container as it was.
        """
        before = self._sandbox(container_id)
        network = self._joinable(join.network)
        self._check_mixture(before, network)
        with self._held((network,)):
            async with UndoStack() as undo:
                endpoint = await self._seat(network, before, join)
                undo.push_undo(self._drivers[network.driver].detach, network, endpoint)
                after = replace(before, endpoints=(*before.endpoints, endpoint))
                faults.point("network.persist_connect")
                undo.push_undo(self._return_to, before)
                await self._store(after)
                await self._real.realize(after)
                undo.release()
        return self._attachment(after)

    async def disconnect(self, container_id: str, reference: str) -> Attachment:
        """Leave a network: when this returns, its link is gone. Raises `NotFound` when it is not on it.

        Failed or cancelled half-way, it may be run again, or the next start of the daemon makes the connection whole.
        """
        before = self._sandbox(container_id)
        network = self.get(reference)
        endpoint = before.on(network.id)
        if endpoint is None:
            raise NotFound(f"container {container_id} is not connected to network {network.name}")
        after = replace(before, endpoints=tuple(other for other in before.endpoints if other is not endpoint))
        self._real.forget(endpoint)
        await self._publishing.publish(container_id, after.ports, self._real.way(after))
        await self._drivers[network.driver].detach(network, endpoint)
        await self._teardown.settle()
        faults.point("network.persist_disconnect")
        await self._store(after)
        await self._namespaces.run(lambda: self._real.route(after))
        await self._real.realize(after)
        return self._attachment(after)

    async def drop(self, container: str, reference: str) -> None:
        """Free what somebody has on a network, whatever has become of it and of its namespace.

        `container` is the id, the start of one, or the name of a container that may be gone. Raises `NotFound` for one that has
        nothing there.
        """
        network = self.get(reference)
        before = self._anybody(container, network)
        endpoint = before.on(network.id)
        others = tuple(other for other in before.endpoints if other is not endpoint)
        if not others or endpoint is None:
            await self.detach(before.container_id)
        else:
            after = replace(before, endpoints=others)
            self._real.forget(endpoint)
            await self._publishing.publish(before.container_id, after.ports, self._real.way(after))
            await self._drivers[network.driver].detach(network, endpoint)
            faults.point("network.persist_drop")
            await self._store(after)
        await self._teardown.settle()

    async def publish(
        self, container_id: str, add: Sequence[PortRequest], remove: Sequence[PublishedPort]
    ) -> Attachment:
        """Publish more ports of a running container, and others no longer; connections through the rest go on.

        Raises `Conflict` for a port in use: the container's ports are then what they were.
        """
        before = self._sandbox(container_id)
        way = self._real.way(before)
        if add and not way.open:
            raise Invalid("the container is on no network that publishes ports")
        kept = tuple(port for port in before.ports if port not in remove)
        async with UndoStack() as undo:
            undo.push_undo(self._republish, before)
            await self._publishing.publish(container_id, kept, way)
            self._publishing.release(container_id, remove)
            added = self._bound(before, container_id, add, way)
            undo.callback(self._publishing.release, container_id, added)
            after = replace(before, ports=kept + added)
            faults.point("network.persist_ports")
            undo.push_undo(self._store, before)
            await self._store(after)
            await self._publishing.publish(container_id, after.ports, way)
            undo.release()
        return self._attachment(after)

    async def rename(self, container_id: str, name: str) -> None:
        """Make a container known by its new name; one that is not connected is no error."""
        before = self._sandboxes.get(container_id)
        if before is None:
            return
        endpoints = tuple(replace(endpoint, container_name=name) for endpoint in before.endpoints)
        after = replace(before, name=name, endpoints=endpoints)
        await self._store(after)
        self._real.name(after)

    # -- looking ----------------------------------------------------------------------------------------------------

    def attachment(self, container_id: str) -> Attachment | None:
        """What a container was given, or None when it is not connected."""
        sandbox = self._sandboxes.get(container_id)
        return self._attachment(sandbox) if sandbox is not None else None

    def get(self, name: str) -> Network:
        """A network by name, id or unique prefix of an id. Raises `NotFound`, `Invalid` for an ambiguous prefix."""
        if name in self._networks:
            return self._networks[name]
        if name == "default" and DEFAULT_NETWORK in self._networks:
            return self._networks[DEFAULT_NETWORK]
        found = [network for network in self._networks.values() if network.id.startswith(name)] if name else []
        if len(found) > 1:
            raise Invalid(f"network {name} is ambiguous ({len(found)} matches found on ID prefix)")
        if not found:
            raise NotFound(f"network {name} not found")
        return found[0]

    async def settle(self) -> None:
        """Wait until nothing is left in the kernel of what was detached."""
        await self._teardown.settle()

    # -- reserving ----------------------------------------------------------------------------------------------------

    async def _reserve(
        self, container_id: str, request: AttachRequest, joins: list[tuple[Network, Join]], undo: UndoStack
    ) -> Sandbox:
        """Every endpoint and port, held in memory; the undo of each is pushed."""
        sandbox = Sandbox(container_id, request.name, "", hostname=request.hostname, resolver=request.resolver)
        for network, join in joins:
            self._check_mixture(sandbox, network)
            endpoint = await self._seat(network, sandbox, join)
            if not sandbox.handle:
                undo.callback(self._teardown.add, Remains(sandbox=endpoint.sandbox))
            undo.push_undo(self._drivers[network.driver].detach, network, endpoint)
            sandbox = replace(sandbox, handle=endpoint.sandbox, endpoints=(*sandbox.endpoints, endpoint))
        undo.callback(self._publishing.release, container_id)
        return replace(sandbox, ports=self._bound(sandbox, container_id, request.ports, self._real.way(sandbox)))

    async def _seat(self, network: Network, sandbox: Sandbox, join: Join) -> Endpoint:
        taken = frozenset(("lo", *(endpoint.interface for endpoint in sandbox.endpoints)))
        seat = Seat(sandbox.container_id, sandbox.name, join, sandbox.handle, taken)
        return await self._drivers[network.driver].reserve(network, seat)

    def _bound(
        self, sandbox: Sandbox, container_id: str, requests: Sequence[PortRequest], way: Way
    ) -> tuple[PublishedPort, ...]:
        try:
            return self._publishing.reserve(container_id, requests, way)
        except Conflict as error:
            endpoint = way.endpoint4 or way.endpoint6
            endpoint_id = endpoint.endpoint_id if endpoint else new_id()
            raise Conflict(
                f"driver failed programming external connectivity on endpoint {sandbox.name} ({endpoint_id}): {error}"
            ) from error

    def _joinable(self, name: str) -> Network:
        network = self.get(name)
        if network.config_only:
            raise Forbidden(f"cannot connect container to config-only network {network.name}")
        if network.driver not in self._drivers:
            raise Forbidden(
                "container cannot be disconnected from host network or connected to hostonly network"
                if network.driver == "host"
                else f"the driver {network.driver} of network {network.name} is not known here"
            )
        return network

    def _check_mixture(self, sandbox: Sandbox, network: Network) -> None:
        if sandbox.on(network.id) is not None:
            raise Forbidden(f"endpoint with name {sandbox.name} already exists in network {network.name}")
        kinds = {self._by_id(endpoint.network_id).driver for endpoint in sandbox.endpoints}
        if kinds and "null" in {*kinds, network.driver}:
            raise Forbidden(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            )

    @contextmanager
    def _held(self, networks: Iterator[Network] | Sequence[Network]) -> Iterator[None]:
        ids = [network.id for network in networks]
        self._joining.update(ids)
        try:
            yield
        finally:
            self._joining.subtract(ids)

    def _users_of(self, network: Network) -> str:
        """Who is on a network, in the words of Docker's refusals; empty when it may go."""
        users = [s for s in self._sandboxes.values() if s.on(network.id) is not None]
        shown = [f'name:"{sandbox.name}" id:"{sandbox.container_id[:12]}"' for sandbox in users]
        return ", ".join(shown) or ("a container is joining" if self._joining[network.id] > 0 else "")

    # -- making true ----------------------------------------------------------------------------------------------------

    async def _return_to(self, sandbox: Sandbox) -> None:
        """The undo of a connect: the container as it was."""
        await self._store(sandbox)
        await self._namespaces.run(lambda: self._real.route(sandbox))
        await self._real.realize(sandbox)

    async def _republish(self, sandbox: Sandbox) -> None:
        self._publishing.adopt(sandbox.container_id, sandbox.ports)
        await self._publishing.publish(sandbox.container_id, sandbox.ports, self._real.way(sandbox))

    async def _adopt(self, sandbox: Sandbox) -> list[str]:
        """Hold again, after a restart, what a container that runs was given; warnings for a person."""
        try:
            for endpoint in sandbox.endpoints:
                network = self._by_id(endpoint.network_id)
                await self._drivers[network.driver].adopt(network, endpoint)
            warnings = self._publishing.adopt(sandbox.container_id, sandbox.ports)
            await self._real.realize(sandbox)
        except DockwrightError as error:
            return [f"container {sandbox.name}: {error}"]
        return warnings

    def _recall_ports(self) -> None:
        for sandbox in self._sandboxes.values():
            self._publishing.recall(sandbox.container_id, sandbox.ports, self._real.way(sandbox))

    # -- rows -----------------------------------------------------------------------------------------------------------

    def _by_id(self, network_id: str) -> Network:
        return next(network for network in self._networks.values() if network.id == network_id)

    def _anybody(self, container: str, network: Network) -> Sandbox:
        """Who is on a network under that id or name."""
        users = [sandbox for sandbox in self._sandboxes.values() if sandbox.on(network.id) is not None]
        found = [user for user in users if container in (user.container_id, user.name)]
        found = found or [user for user in users if container and user.container_id.startswith(container)]
        if len(found) != 1:
            raise NotFound(f"endpoint {container} not found")
        return found[0]

    def _sandbox(self, container_id: str) -> Sandbox:
        found = self._sandboxes.get(container_id)
        if found is None:
            raise Forbidden(
                "container sharing network namespace with another container or host cannot be connected to any other network"
            )
        return found

    async def _store(self, sandbox: Sandbox) -> None:
        await self._table.save_sandbox(sandbox)
        self._sandboxes[sandbox.container_id] = sandbox

    async def _erase(self, sandbox: Sandbox) -> None:
        self._sandboxes.pop(sandbox.container_id, None)
        await self._table.delete_sandbox(sandbox.container_id)

    def _attachment(self, sandbox: Sandbox) -> Attachment:
        return Attachment(
            netns_path=self._namespaces.path(sandbox.handle),
            places=tuple(place(sandbox, endpoint, self._by_id(endpoint.network_id)) for endpoint in sandbox.endpoints),
            ports=sandbox.ports,
            dns=bool(self._real.scopes(sandbox)),
        )
