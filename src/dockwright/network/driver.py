"""The seam between the manager of networks and a kind of network.

An endpoint's life:

    endpoint = await driver.reserve(network, seat)              # a decision: addresses, names; maybe a namespace
    ...the manager stores the endpoint...
    await driver.attach(network, endpoint)                      # the kernel agrees with it
    await driver.detach(network, endpoint)                      # the kernel forgets it, the addresses are free again

`attach` and `detach` may be run again at any time, by the same daemon or the next one: they compare and repair. The sandbox,
the default route in it, published ports and names belong to the manager, for they are of the container, not of one network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dockwright.network.model import Endpoint, Join, Network


@dataclass(frozen=True, slots=True)
class Seat:
    """Who wants an endpoint, and where: `sandbox` is the namespace it has already ("" for none), `taken` the links in it."""

    container_id: str
    container_name: str
    join: Join
    sandbox: str = ""
    taken: frozenset[str] = frozenset()


class NetworkDriver(Protocol):
    """One kind of network: bridge, null, macvlan, ipvlan; a cluster brings its overlay to `Networks.add_driver`."""

    #: As in `docker network create --driver`.
    name: str

    def plan(self, network: Network) -> Network:
        """Complete a network that is to be created: its link, its MTU; nothing is done yet.

        Raises `Invalid` for options this kind does not know or that make no sense, `Unsupported` for what the host lacks.
        """
        ...

    async def create(self, network: Network, endpoints: Sequence[Endpoint] = ()) -> None:
        """Make the kernel hold the network: its bridge, its rules. May be run again, to repair.

        `endpoints` are those stored before a restart: their addresses are theirs.
        """
        ...

    async def delete(self, network: Network) -> None:
        """Remove what `create` made. The network has no endpoints any more. May be run again."""
        ...

    async def reserve(self, network: Network, seat: Seat) -> Endpoint:
        """Decide addresses and names for a new endpoint and hold them until `detach`; make a namespace where it has none.

        Raises `Invalid` for a request this kind of network cannot fulfil, `Conflict` for an address in use, `Unavailable` when
        addresses have run out. A failed or cancelled call leaves nothing.
        """
        ...

    async def attach(self, network: Network, endpoint: Endpoint) -> None:
        """Make the kernel agree with a stored endpoint: link, addresses, settings of the link.

        Raises `HostFailure` when its namespace is gone.
        """
        ...

    async def detach(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the endpoint's link and give its addresses back; the namespace stays.

        Slow parts may be left to a background task, which `settle` waits for.
        """
        ...

    async def adopt(self, network: Network, endpoint: Endpoint) -> None:
        """Hold again, after a restart, what a stored endpoint was given."""
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
