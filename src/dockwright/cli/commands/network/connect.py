"""`network connect`: put a container on one more network."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import TWO, Command
from dockwright.cli.flags import Flag
from dockwright.cli.options.networks import ip_address, link
from dockwright.client.calls import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    network, container = arguments
    session.client.json(networks.connect(network, container, endpoint(options)))


def endpoint(options: Options) -> dict[str, Any]:
    """The options as the API's endpoint settings. Raises `errors.Invalid`."""
    found: dict[str, Any] = {}
    ipam = {
        key: options.value(name)
        for name, key in (("ip", "IPv4Address"), ("ip6", "IPv6Address"), ("link-local-ip", "LinkLocalIPs"))
        if options.given(name)
    }
    if ipam:
        found["IPAMConfig"] = ipam
    for name, key in (("alias", "Aliases"), ("link", "Links")):
        if options.many(name):
            found[key] = options.many(name)
    driver_options = {}
    for text in options.many("driver-opt"):
        name, equals, value = text.partition("=")
        if not equals:
            raise errors.Invalid("invalid key/value pair format in driver options")
        driver_options[name.strip().lower()] = value.strip()
    if driver_options:
        found["DriverOpts"] = driver_options
    if options.given("gw-priority"):
        found["GwPriority"] = options.number("gw-priority")
    return found


def _addresses(text: str) -> list[str]:
    return [ip_address(one.strip()) for one in text.split(",")]


COMMAND = Command(
    ("network connect",),
    "Put a container on one more network",
    "[OPTIONS] NETWORK CONTAINER",
    run,
    arguments=TWO,
    flags=(
        Flag("alias", "Another name for the container in the network", kind="stringSlice"),
        Flag(
            "driver-opt",
            "An option of the network's driver, e.g. com.docker.network.endpoint.ifname=lan0",
            kind="stringSlice",
        ),
        Flag(
            "gw-priority",
            "The network with the highest has the container's default route; it may be negative",
            kind="int",
            default=0,
            since="1.48",
        ),
        Flag("ip", "IPv4 address, e.g. 172.30.100.104", kind="ip", convert=ip_address),
        Flag("ip6", "IPv6 address, e.g. 2001:db8::33", kind="ip", convert=ip_address),
        Flag("link", "Make another container known by name, NAME[:ALIAS]", kind="list", convert=link),
        Flag("link-local-ip", "A link-local address", kind="ipSlice", convert=_addresses, repeats=True),
    ),
    completes=("networks", "containers"),
)
