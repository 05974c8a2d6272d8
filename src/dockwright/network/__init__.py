"""Networks: which container is connected where, and the kernel state that makes it so.

    manager      the verbs; what is stored           driver, bridge, plain   the seam and the kinds of network
    model        networks, requests, endpoints       ipam, ports             which address, which host port
    namespaces, netlink, nft, firewall               the kernel
    prepared, teardown                               made ahead of time; ended off everybody's way
    relay        bytes the kernel cannot translate   files                   hosts and resolv.conf of a container

What does not belong here: names inside the container's file system, the OCI configuration, the Engine API's shapes.
"""

from dockwright.network.driver import NetworkDriver
from dockwright.network.manager import NETWORK_SCHEMA, Networks
from dockwright.network.model import (
    Attachment,
    AttachRequest,
    Endpoint,
    Network,
    PortRequest,
    PublishedPort,
    parse_mac,
    parse_port_request,
)
from dockwright.network.options import NetworkOptions, parse_bip, parse_pool

__all__ = [
    "NETWORK_SCHEMA",
    "AttachRequest",
    "Attachment",
    "Endpoint",
    "Network",
    "NetworkDriver",
    "NetworkOptions",
    "Networks",
    "PortRequest",
    "PublishedPort",
    "parse_bip",
    "parse_mac",
    "parse_pool",
    "parse_port_request",
]
