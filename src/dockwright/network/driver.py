"""The seam between the manager of networks and a kind of network.

An endpoint's life:

    endpoint = driver.reserve(network, container_id, request)   # a decision: memory only
    ...the manager stores the endpoint...
    await driver.attach(network, endpoint)                      # the kernel agrees with it
    await driver.detach(network, endpoint)                      # ...and forgets it
    driver.release(network, endpoint)                           # the decision is taken back

`attach` and `detach` may be run again at any time, by the same daemon or the next one: they compare and repair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dockwright.network.model import AttachRequest, Endpoint, Network


class NetworkDriver(Protocol):
    """One kind of network: bridge, none, host; macvlan, ipvlan and overlay to come."""

    #: As in `docker network create --driver`.
    name: str

    async def create(self, network: Network, endpoints: Sequence[Endpoint] = ()) -> None:
        """Make the kernel hold the network: its bridge, its rules. May be run again, to repair.

        `endpoints` are those stored before a restart: their ports never stop being published.
        """
        ...

    async def delete(self, network: Network) -> None:
        """Remove what `create` made. The network has no endpoints any more. May be run again."""
        ...

    async def reserve(self, network: Network, container_id: str, request: AttachRequest) -> Endpoint:
        """Decide addresses, names and ports for a new endpoint and hold them until `release`.

        Raises `Invalid` for a request this kind of network cannot fulfil, `Conflict` for a port or address in use,
        `Unavailable` when addresses have run out. Nothing outside this process shows the decision.
        """
        ...

    async def attach(self, network: Network, endpoint: Endpoint) -> None:
        """Make the kernel agree with a stored endpoint: namespace, link, addresses, published ports."""
        ...

    async def detach(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the endpoint's link, ports and namespace handle; when it returns, traffic no longer arrives.

        Slow parts may be left to a background task of the driver, which `settle` waits for.
        """
        ...

    async def adopt(self, network: Network, endpoint: Endpoint) -> list[str]:
        """Hold again, after a restart, what a stored endpoint was given; returns warnings for a person."""
        ...

    async def collect(self, network: Network, kept: list[Endpoint]) -> None:
        """Remove whatever a dead daemon left in the kernel that no endpoint in `kept` names."""
        ...

    async def settle(self) -> None:
        """Wait until nothing is left of detached endpoints."""
        ...

    async def aclose(self) -> None:
        """End background work and let go of prepared things; endpoints stay as they are. Safe to call twice."""
        ...
