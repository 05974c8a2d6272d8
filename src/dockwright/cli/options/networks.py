"""`--network` and the options of the container's place in it."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options


def network(text: str) -> dict[str, Any]:
    """`NAME` or `name=NAME,alias=…,ip=…` as a name and the API's endpoint settings. Raises `ValueError`."""
    if "=" not in text:
        return {"name": text, "endpoint": {}}
    name = ""
    endpoint: dict[str, Any] = {}
    for field in values.csv_fields(text.lower()):
        key, equals, value = (part.strip() for part in field.partition("="))
        if not equals:
            raise ValueError(f"invalid field {key}")
        if key == "name":
            name = value
        else:
            _set(endpoint, key, value)
    if not name:
        raise ValueError("network name/id is not specified")
    return {"name": name, "endpoint": endpoint}


def _set(endpoint: dict[str, Any], key: str, value: str) -> None:
    addresses = {"ip": "IPv4Address", "ip6": "IPv6Address"}
    if key in addresses:
        endpoint.setdefault("IPAMConfig", {})[addresses[key]] = ip_address(value)
    elif key == "link-local-ip":
        endpoint.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(ip_address(value))
    elif key == "alias":
        endpoint.setdefault("Aliases", []).append(value)
    elif key == "mac-address":
        endpoint["MacAddress"] = mac_address(value)
    elif key == "driver-opt":
        name, equals, content = value.partition("=")
        if not equals:
            raise ValueError("invalid key/value pair format in driver options")
        endpoint.setdefault("DriverOpts", {})[name] = content
    elif key == "gw-priority":
        endpoint["GwPriority"] = values.CONVERTERS["int"](value)
    else:
        raise ValueError(f"invalid field key {key}")


def ip_address(text: str) -> str:
    from ipaddress import ip_address as parse

    try:
        return str(parse(text))
    except ValueError as error:
        raise ValueError(f'failed to parse IP: "{text}"') from error


def dns_address(text: str) -> str:
    try:
        return ip_address(text)
    except ValueError as error:
        raise ValueError(f"IP address is not correctly formatted: {text}") from error


def mac_address(text: str) -> str:
    parts = text.replace("-", ":").split(":")
    if len(parts) not in (6, 8, 20) or not all(
        len(p) == 2 and set(p.lower()) <= set("0123456789abcdef") for p in parts
    ):
        raise ValueError(f"{text} is not a valid mac address")
    return text


def link(text: str) -> str:
    """`NAME` or `NAME:ALIAS`."""
    name, _, alias = text.partition(":")
    if ":" in alias:
        raise ValueError(f"bad format for links: {text}")
    return f"{name}:{alias or name}"


def extra_host(text: str) -> str:
    """`HOST:IP` or `HOST=IP` as the API's `HOST:IP`; the address may be `host-gateway`."""
    separator = "=" if "=" in text else ":"
    host, found, address = text.partition(separator)
    if not found or not host:
        raise ValueError(f'bad format for add-host: "{text}"')
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if bare != "host-gateway":
        try:
            ip_address(bare)
        except ValueError as error:
            raise ValueError(f'invalid IP address in add-host: "{bare}"') from error
    return f"{host}:{bare}"


def dns_search(text: str) -> str:
    """A domain, or `.` for no search list."""
    domain = text.strip().removesuffix(".") or text.strip()
    labels = [] if domain == "." else domain.split(".")
    if not domain or any(not label or not label.replace("-", "").replace("_", "").isalnum() for label in labels):
        raise ValueError(f"{text} is not a valid domain")
    return domain


def is_user_defined(name: str) -> bool:
    return name not in ("default", "bridge", "host", "none") and not name.startswith("container:")


def endpoints(options: Options) -> tuple[str, dict[str, dict[str, Any]], list[str]]:
    """The network mode, the endpoint of each network, and the links of the default bridge. Raises `errors.Invalid`."""
    chosen = options.many("network") or [{"name": "default", "endpoint": {}}]
    names = [one["name"] for one in chosen]
    if len(chosen) > 1 and not all(map(is_user_defined, names)):
        raise errors.Invalid("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    if len(set(names)) != len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise errors.Invalid(f'network "{duplicate}" is specified multiple times')
    first = names[0]
    endpoint, links = _first_endpoint(options, chosen[0])
    found = {one["name"]: one["endpoint"] for one in chosen}
    found[first] = endpoint
    return first, {name: value for name, value in found.items() if value or len(found) > 1}, links


def _first_endpoint(options: Options, chosen: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The first network takes the options that name none."""
    endpoint, name = dict(chosen["endpoint"]), chosen["name"]
    conflict = "conflicting options: cannot specify both --{} and per-network {}"
    ipam = dict(endpoint.get("IPAMConfig", {}))
    for option, key in (("ip", "IPv4Address"), ("ip6", "IPv6Address"), ("link-local-ip", "LinkLocalIPs")):
        if options.given(option):
            if key in ipam:
                raise errors.Invalid(conflict.format(option, key))
            ipam[key] = options.value(option)
    if ipam:
        endpoint["IPAMConfig"] = ipam
    aliases = options.many("network-alias")
    if aliases and endpoint.get("Aliases"):
        raise errors.Invalid(conflict.format("network-alias", "alias"))
    if aliases:
        endpoint["Aliases"] = aliases
    if endpoint.get("Aliases") and not is_user_defined(name):
        raise errors.Invalid("network-scoped aliases are only supported for user-defined networks")
    if options.given("mac-address"):
        if endpoint.get("MacAddress"):
            raise errors.Invalid(conflict.format("mac-address", "MAC address"))
        endpoint["MacAddress"] = options.text("mac-address")
    links = options.many("link")
    if links and is_user_defined(name):
        endpoint["Links"] = links
        links = []
    return endpoint, links
