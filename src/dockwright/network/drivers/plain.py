"""The driver of network mode `none`: a namespace with nothing but a loopback interface."""

from __future__ import annotations

from collections.abc import Sequence

from dockwright import faults, workers
from dockwright.errors import Forbidden, HostFailure, Invalid
from dockwright.network.driver import Seat
from dockwright.network.drivers.sandbox import make_sandbox
from dockwright.network.model import Endpoint, Network, new_id
from dockwright.network.namespaces import Namespaces
from dockwright.network.teardown import Teardown


class PlainDriver:
    """`NetworkDriver` of networks that lead nowhere. Published ports are ignored, as Docker does in this mode."""

    def __init__(self, name: str, namespaces: Namespaces, teardown: Teardown) -> None:
        self.name = name
        self._namespaces = namespaces
        self._teardown = teardown

    def plan(self, network: Network) -> Network:
        """There is one network of this kind, and it is there already. Raises `Forbidden` in Docker's words."""
        raise Forbidden(f'only one instance of "{self.name}" network is allowed')

    async def create(self, network: Network, endpoints: Sequence[Endpoint] = ()) -> None:
        """Nothing to make."""

    async def delete(self, network: Network) -> None:
        """Nothing was made."""

    async def reserve(self, network: Network, seat: Seat) -> Endpoint:
        """See `NetworkDriver.reserve`."""
        if seat.join.ipv4_address or seat.join.ipv6_address:
            raise Invalid("user specified IP address is supported on user defined networks only")
        faults.point("network.reserve_plain")
        sandbox = seat.sandbox or await make_sandbox(self._namespaces, self._teardown)
        return Endpoint(seat.container_id, seat.container_name, network.id, new_id(), sandbox, join=seat.join)

    async def attach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.attach`."""
        if not await workers.quick(self._namespaces.alive, endpoint.sandbox):
            raise HostFailure(f"network namespace {self._namespaces.path(endpoint.sandbox)} is gone")

    async def detach(self, network: Network, endpoint: Endpoint) -> None:
        """There is no link."""

    async def adopt(self, network: Network, endpoint: Endpoint) -> None:
        """Nothing to hold."""

    async def collect(self, network: Network, kept: list[Endpoint]) -> None:
        """Nothing but namespaces, which the manager collects."""

    async def settle(self) -> None:
        """See `NetworkDriver.settle`."""
        await self._teardown.settle()

    async def aclose(self) -> None:
        """See `NetworkDriver.aclose`."""
