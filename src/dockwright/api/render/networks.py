"""Networks as list and inspect show them."""

from __future__ import annotations

from typing import Any

from dockwright.engine import Engine
from dockwright.network import Network, Subnet
from dockwright.units import rfc3339


def show_network(engine: Engine, network: Network, *, containers: bool) -> dict[str, Any]:
    """`GET /networks/{id}`; the list shows no containers."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339(network.created_ns),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": network.ipv4,
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": network.ipam_options or (None if network.predefined else {}),
            "Config": [_subnet(subnet) for subnet in network.subnets] if network.subnets else _none(network),
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": _containers(engine, network) if containers else {},
        "Options": network.options,
        "Labels": network.labels,
    }


def _none(network: Network) -> list[Any] | None:
    return None if network.predefined else []


def _subnet(subnet: Subnet) -> dict[str, Any]:
    shown: dict[str, Any] = {"Subnet": subnet.subnet}
    if subnet.ip_range:
        shown["IPRange"] = subnet.ip_range
    if subnet.gateway:
        shown["Gateway"] = subnet.gateway
    if subnet.aux:
        shown["AuxiliaryAddresses"] = subnet.aux
    return shown


def _containers(engine: Engine, network: Network) -> dict[str, Any]:
    if network.driver == "host":
        return {}
    return {
        sandbox.container_id: {
            "Name": sandbox.name,
            "EndpointID": endpoint.endpoint_id,
            "MacAddress": endpoint.mac,
            "IPv4Address": endpoint.address,
            "IPv6Address": endpoint.address6,
        }
        for sandbox, endpoint in engine.networks.on(network)
    }
