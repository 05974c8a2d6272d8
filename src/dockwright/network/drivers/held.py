"""Whose addresses are held on one network: each is given back once, whoever has them by then."""

from __future__ import annotations

from dockwright.network.ipam import Leases
from dockwright.network.model import Endpoint


class Held:
    """The endpoints of one network whose addresses are held in `leases`."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._endpoints: set[str] = set()

    def add(self, endpoint: Endpoint) -> None:
        """A new endpoint, with addresses that were just taken."""
        self._endpoints.add(endpoint.endpoint_id)

    def adopt(self, endpoint: Endpoint) -> None:
        """A stored endpoint, after a restart: its addresses are taken again. Raises `Conflict`."""
        if endpoint.endpoint_id not in self._endpoints:
            self._leases.hold(endpoint)
            self._endpoints.add(endpoint.endpoint_id)

    def forget(self, endpoint: Endpoint) -> bool:
        """Whether it was held; it is no more, and who asks gives its addresses back."""
        was = endpoint.endpoint_id in self._endpoints
        self._endpoints.discard(endpoint.endpoint_id)
        return was
