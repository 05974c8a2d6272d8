"""The driver of network mode `none`: a namespace with nothing but a loopback interface."""

from __future__ import annotations

from collections.abc import Sequence

from dockwright import faults, workers
from dockwright.errors import HostFailure, Invalid
from dockwright.network.model import AttachRequest, Endpoint, Network, new_id
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink
from dockwright.network.teardown import Remains, Teardown
from dockwright.undo import shielded


class PlainDriver:
    """`NetworkDriver` of networks that lead nowhere. Published ports are ignored, as Docker does in this mode."""

    def __init__(self, name: str, namespaces: Namespaces, teardown: Teardown) -> None:
        self.name = name
        self._namespaces = namespaces
        self._teardown = teardown

    async def create(self, network: Network, endpoints: Sequence[Endpoint] = ()) -> None:
        """Nothing to make."""

    async def delete(self, network: Network) -> None:
        """Nothing was made."""

    async def reserve(self, network: Network, container_id: str, request: AttachRequest) -> Endpoint:
        """See `NetworkDriver.reserve`."""
        if request.ipv4_address:
            raise Invalid("user specified IP address is supported on user defined networks only")
        faults.point("network.reserve_plain")
        made: list[str] = []

        async def make() -> None:
            made.append(await self._namespaces.run(self._make))

        try:
            await shielded(make())
        except BaseException:
            if made:
                self._teardown.add(Remains(sandbox=made[0]))
            raise
        return Endpoint(container_id, request.name, network.id, new_id(), made[0])

    async def attach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.attach`."""
        if not await workers.quick(self._namespaces.alive, endpoint.sandbox):
            raise HostFailure(f"network namespace {self._namespaces.path(endpoint.sandbox)} is gone")

    async def detach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.detach`."""
        self._teardown.add(Remains(sandbox=endpoint.sandbox))

    async def adopt(self, network: Network, endpoint: Endpoint) -> list[str]:
        """Nothing to hold."""
        return []

    async def collect(self, network: Network, kept: list[Endpoint]) -> None:
        """Nothing but namespaces, which the manager collects."""

    async def settle(self) -> None:
        """See `NetworkDriver.settle`."""
        await self._teardown.settle()

    async def aclose(self) -> None:
        """See `NetworkDriver.aclose`."""

    def _make(self) -> str:
        name = self._namespaces.create()
        try:
            with Netlink() as inner:
                inner.set_up(1)
        except HostFailure:
            self._namespaces.remove(name)
            raise
        return name
