"""One network of a container as `inspect` shows it."""

from __future__ import annotations

import ipaddress

from dockwright.network.dns.names import names_of
from dockwright.network.model import Endpoint, Network, Place, Sandbox


def place(sandbox: Sandbox, endpoint: Endpoint, network: Network) -> Place:
    """What an endpoint got."""
    v4 = ipaddress.IPv4Interface(endpoint.address) if endpoint.address else None
    v6 = ipaddress.IPv6Interface(endpoint.address6) if endpoint.address6 else None
    return Place(
        network_id=network.id,
        network_name=network.name,
        driver=network.driver,
        endpoint_id=endpoint.endpoint_id,
        mac=endpoint.mac,
        ip=str(v4.ip) if v4 else "",
        prefix_len=v4.network.prefixlen if v4 else 0,
        gateway=_shown(endpoint.gateway),
        ip6=str(v6.ip) if v6 else "",
        prefix_len6=v6.network.prefixlen if v6 else 0,
        gateway6=_shown(endpoint.gateway6),
        dns_names=() if network.predefined else names_of(sandbox, endpoint),
    )


def _shown(gateway: str) -> str:
    """An unspecified gateway stands for none: what is sent goes straight out of the link."""
    return "" if gateway in ("0.0.0.0", "::") else gateway
