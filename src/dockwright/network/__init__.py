"""Networks: which container is connected where, and the kernel state that makes it so.

    manager      networks: the verbs, the daemon's life      sandboxes    containers on them: attach, connect, publish
    realizing    a stored sandbox made true: links, routes, ports, names
    model        networks, requests, endpoints               planning, defaults, ipam   what a new network looks like
    driver       the seam                                    drivers/     the kinds of network
    table        what is stored                              dns/         names at 127.0.0.11
    publishing   host ports: held (ports), translated (firewall), relayed (relay), forgotten (conntrack)
    namespaces, netlink, nft                                 the kernel
    prepared, teardown                                       made ahead of time; ended off everybody's way
    forwarding   other tables that drop                      files        hosts and resolv.conf of a container

What does not belong here: names inside the container's file system, the OCI configuration, the Engine API's shapes.
"""

from dockwright.network.driver import NetworkDriver
from dockwright.network.manager import Networks
from dockwright.network.model import (
    PREDEFINED,
    Attachment,
    AttachRequest,
    Endpoint,
    Join,
    Network,
    Place,
    PortRequest,
    PublishedPort,
    Resolver,
    Sandbox,
    Subnet,
    parse_mac,
    parse_port_request,
)
from dockwright.network.options import (
    NetworkOptions,
    parse_bip,
    parse_bip6,
    parse_network_defaults,
    parse_pool,
    parse_source,
)
from dockwright.network.planning import NetworkRequest
from dockwright.network.table import NETWORK_SCHEMA

__all__ = [
    "NETWORK_SCHEMA",
    "PREDEFINED",
    "AttachRequest",
    "Attachment",
    "Endpoint",
    "Join",
    "Network",
    "NetworkDriver",
    "NetworkOptions",
    "NetworkRequest",
    "Networks",
    "Place",
    "PortRequest",
    "PublishedPort",
    "Resolver",
    "Sandbox",
    "Subnet",
    "parse_bip",
    "parse_bip6",
    "parse_mac",
    "parse_network_defaults",
    "parse_pool",
    "parse_port_request",
    "parse_source",
]
