"""The daemon's network flags as the networks' options."""

from __future__ import annotations

import ipaddress
from typing import Any

from dockwright.errors import Invalid
from dockwright.network import (
    NetworkOptions,
    parse_bip,
    parse_bip6,
    parse_network_defaults,
    parse_pool,
    parse_source,
)
from dockwright.network.ipam import DEFAULT_POOLS


def network_options(values: dict[str, Any]) -> NetworkOptions:
    """Raises `Invalid` for values that do not parse or go together, and for what is never so here."""
    _refuse(values)
    fixed, fixed6 = values["fixed-cidr"], values["fixed-cidr-v6"]
    gateway, gateway6 = values["default-gateway"], values["default-gateway-v6"]
    try:
        return NetworkOptions(
            bridge=values["bridge"],
            bip=parse_bip(values["bip"]) if values["bip"] else None,
            fixed_cidr=ipaddress.IPv4Network(fixed) if fixed else None,
            default_gateway=ipaddress.IPv4Address(gateway) if gateway else None,
            ipv6=values["ipv6"],
            bip6=parse_bip6(values["bip6"]) if values["bip6"] else None,
            fixed_cidr_v6=ipaddress.IPv6Network(fixed6) if fixed6 else None,
            default_gateway_v6=ipaddress.IPv6Address(gateway6) if gateway6 else None,
            address_pools=tuple(parse_pool(text) for text in values["default-address-pool"]) or DEFAULT_POOLS,
            mtu=values["mtu"],
            icc=values["icc"],
            ip_masquerade=values["ip-masq"],
            ip_forward=values["ip-forward"],
            host_binding_ip=ipaddress.ip_address(values["ip"]),
            firewall=values["iptables"],
            relay=values["userland-proxy"],
            publish_from=tuple(parse_source(text) for text in values["publish-from"]),
            direct_routing=values["allow-direct-routing"],
            accept_mark=values["bridge-accept-fwmark"] or "",
            default_options=parse_network_defaults(values["default-network-opt"]),
        )
    except ValueError as error:
        raise Invalid(str(error)) from error


def _refuse(values: dict[str, Any]) -> None:
    if values["firewall-backend"] != "nftables":
        raise Invalid(
            f"--firewall-backend={values['firewall-backend']} is not supported: the rules are nftables' alone"
        )
    if values["iptables"] and not values["ip6tables"]:
        raise Invalid(
            "--ip6tables=false is not supported beside --iptables: one table holds the rules of both families"
        )
    if not values["ip-forward-no-drop"]:
        raise Invalid("--ip-forward-no-drop=false is not supported: policies of other tables are never touched")
    if values["bridge-accept-fwmark"] and not values["iptables"]:
        raise Invalid("--bridge-accept-fwmark says nothing without --iptables")
    if values["allow-direct-routing"] and not values["iptables"]:
        raise Invalid("--allow-direct-routing says nothing without --iptables: nothing is kept from containers then")
