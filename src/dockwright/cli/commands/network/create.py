"""`network create`: make a network."""

from __future__ import annotations

import ipaddress

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.cli.options.environment import label
from dockwright.cli.options.networks import ip_address
from dockwright.client.calls import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    answer = session.client.json(networks.create(request(options, arguments[0])))
    if answer.get("Warning"):
        session.error("WARNING: " + answer["Warning"])
    session.line(answer["Id"])


def request(options: Options, name: str) -> dict[str, Any]:
    """The body of the create request. Raises `errors.Invalid`."""
    body: dict[str, Any] = {
        "Name": name,
        "Driver": options.text("driver"),
        "Scope": options.text("scope"),
        "IPAM": {
            "Driver": options.text("ipam-driver"),
            "Options": dict(options.many("ipam-opt")),
            "Config": subnets(options),
        },
        "Internal": options.on("internal"),
        "Ingress": options.on("ingress"),
        "Attachable": options.on("attachable"),
        "ConfigOnly": options.on("config-only"),
        "Options": dict(options.many("opt")),
        "Labels": dict(_pair(text) for text in options.many("label")),
    }
    if options.given("ipv4"):
        body["EnableIPv4"] = options.on("ipv4")
    if options.given("ipv6"):
        body["EnableIPv6"] = options.on("ipv6")
    if options.text("config-from"):
        body["ConfigFrom"] = {"Network": options.text("config-from")}
    return body


def subnets(options: Options) -> list[dict[str, Any]]:
    """Ranges, gateways and auxiliary addresses beside the subnets they lie in. Raises `errors.Invalid`."""
    given = options.many("subnet")
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        for other in found:
            if _network(text).overlaps(_network(other)):
                raise errors.Invalid("multiple overlapping subnet configuration is not supported")
        found[text] = {"Subnet": text}
    if not given and (options.many("gateway") or options.many("ip-range") or options.many("aux-address")):
        if options.many("ip-range") or options.many("gateway"):
            raise errors.Invalid("every ip-range or gateway must have a corresponding subnet")
        raise errors.Invalid("no matching subnet for aux-address")
    for text in options.many("ip-range"):
        place = _place(found, ipaddress.ip_network(text)[0], f"no matching subnet for range {text}")
        if "IPRange" in place:
            raise errors.Invalid(_twice("ranges", text, place["IPRange"], "on", place))
        place["IPRange"] = text
    for text in options.many("gateway"):
        place = _place(found, ipaddress.ip_address(text), f"no matching subnet for gateway {text}")
        if "Gateway" in place:
            raise errors.Invalid(_twice("gateways", text, place["Gateway"], "for", place))
        place["Gateway"] = text
    for name, text in options.many("aux-address"):
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise errors.Invalid(f"no matching subnet for aux-address {text}") from error
        place = _place(found, address, f"no matching subnet for aux-address {text}")
        place.setdefault("AuxiliaryAddresses", {})[name] = text
    return list(found.values())


def _place(found: dict[str, dict[str, Any]], address: Any, complaint: str) -> dict[str, Any]:
    for text, place in found.items():
        if address in _network(text):
            return place
    raise errors.Invalid(complaint)


def _twice(what: str, text: str, before: str, word: str, place: dict[str, Any]) -> str:
    return f"cannot configure multiple {what} ({text}, {before}) {word} the same subnet ({place['Subnet']})"


def _network(text: str) -> Any:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise errors.Invalid(f"invalid subnet {text}: invalid CIDR block notation") from error


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _addresses(text: str) -> list[str]:
    return [ip_address(one.strip()) for one in text.split(",")]


def _ranges(text: str) -> list[str]:
    try:
        return [str(ipaddress.ip_network(one.strip(), strict=False)) for one in text.split(",")]
    except ValueError as error:
        raise ValueError(f"invalid string being converted to CIDR: {text}") from error


COMMAND = Command(
    ("network create",),
    "Create a network",
    "[OPTIONS] NETWORK",
    run,
    arguments=ONE,
    flags=(
        Flag("attachable", "Containers may be put on it by hand", kind="bool", since="1.25"),
        Flag("aux-address", "An address the network keeps away from containers, NAME=IP", kind="map", default="map[]"),
        Flag("config-from", "The network to take the configuration from", since="1.30"),
        Flag("config-only", "Nothing but a configuration for others", kind="bool", since="1.30"),
        Flag("driver", "Kind of network: bridge, macvlan, ipvlan", short="d", default="bridge"),
        Flag("gateway", "Address of the host in a subnet", kind="ipSlice", convert=_addresses, repeats=True),
        Flag("ingress", "The network of published services of a swarm", kind="bool", since="1.29"),
        Flag("internal", "No way out and none in", kind="bool"),
        Flag(
            "ip-range",
            "The part of a subnet that containers get addresses from",
            kind="ipNetSlice",
            convert=_ranges,
            repeats=True,
        ),
        Flag("ipam-driver", "Who chooses addresses", default="default"),
        Flag("ipam-opt", "An option of who chooses addresses, NAME=VALUE", kind="map", default="map[]"),
        Flag("ipv4", "Give containers IPv4 addresses", kind="bool", default=True, since="1.48"),
        Flag("ipv6", "Give containers IPv6 addresses", kind="bool"),
        Flag("label", "A label, NAME=VALUE", kind="list", convert=label),
        Flag("opt", "An option of the driver, NAME=VALUE", short="o", kind="map", default="map[]"),
        Flag("scope", "How far the network reaches", since="1.30"),
        Flag("subnet", "A subnet, e.g. 172.30.0.0/16", kind="stringSlice"),
    ),
)
