"""The options of a bridge network and of an endpoint on it, by Docker's names. One we do not know is refused, never ignored."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from dockwright.errors import Invalid
from dockwright.network.model import Network
from dockwright.network.options import IFNAME_LIMIT

GatewayMode = Literal["nat", "nat-unprotected", "routed", "isolated"]

BRIDGE = "com.docker.network.bridge."
NAME = BRIDGE + "name"
DEFAULT_BRIDGE = BRIDGE + "default_bridge"
ICC = BRIDGE + "enable_icc"
MASQUERADE = BRIDGE + "enable_ip_masquerade"
BINDING = BRIDGE + "host_binding_ipv4"
MODE4, MODE6 = BRIDGE + "gateway_mode_ipv4", BRIDGE + "gateway_mode_ipv6"
INHIBIT = BRIDGE + "inhibit_ipv4"
TRUSTED = BRIDGE + "trusted_host_interfaces"
MTU = "com.docker.network.driver.mtu"
PREFIX = "com.docker.network.container_iface_prefix"
HOST4, HOST6 = "com.docker.network.host_ipv4", "com.docker.network.host_ipv6"
#: Options of every kind of network: they stand for the switches of the request.
ENABLE4, ENABLE6 = "com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6"
_KNOWN = frozenset(
    (NAME, DEFAULT_BRIDGE, ICC, MASQUERADE, BINDING, MODE4, MODE6, INHIBIT, TRUSTED, MTU, PREFIX, HOST4, HOST6)
)

ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
ENDPOINT_NAME = "com.docker.network.endpoint.ifname"
_LINK_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
_SYSCTL = re.compile(r"^net\.(?:ipv4|ipv6|mpls)\.[a-z]+\.IFNAME\.[a-z0-9_]+$")


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """A bridge network's options, parsed. `binding` is where ports are published that name no address."""

    icc: bool = True
    masquerade: bool = True
    binding: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    modes: Mapping[int, GatewayMode] = field(default_factory=lambda: {4: "nat", 6: "nat"})
    inhibit_ipv4: bool = False
    trusted: tuple[str, ...] = ()
    interface_prefix: str = "eth"
    sources: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network) -> BridgeSettings:
        """Raises `Invalid` for an option that is not known, malformed, or goes not together with the network."""
        options = network.options
        refuse_unknown(options, _KNOWN, "bridge")
        binding = options.get(BINDING, "")
        modes: dict[int, GatewayMode] = {4: _mode(options, MODE4, network), 6: _mode(options, MODE6, network)}
        sources = {4: options.get(HOST4, ""), 6: options.get(HOST6, "")}
        for version, text in sources.items():
            if text and address(HOST4 if version == 4 else HOST6, text).version != version:
                raise Invalid(f"invalid {HOST4 if version == 4 else HOST6}: {text}")
        return cls(
            icc=boolean(options, ICC, True),
            masquerade=boolean(options, MASQUERADE, True),
            binding=address(BINDING, binding) if binding else None,
            modes=modes,
            inhibit_ipv4=boolean(options, INHIBIT, False),
            trusted=tuple(link_name(TRUSTED, name) for name in options.get(TRUSTED, "").split(":") if name),
            interface_prefix=link_name(PREFIX, options[PREFIX]) if options.get(PREFIX) else "eth",
            sources={version: text for version, text in sources.items() if text},
        )

    def has_gateway(self, version: int) -> bool:
        """Whether the bridge itself gets an address of this family."""
        return self.modes[version] != "isolated" and not (version == 4 and self.inhibit_ipv4)


def refuse_unknown(options: Mapping[str, str], known: frozenset[str], kind: str) -> None:
    """Raises `Invalid` with the options this kind of network does not have."""
    unknown = sorted(set(options) - known - {ENABLE4, ENABLE6})
    if unknown:
        raise Invalid(f"unknown option of the {kind} driver: {', '.join(unknown)}")


def mtu(options: Mapping[str, str], default: int) -> int:
    """The MTU asked for. Raises `Invalid`."""
    text = options.get(MTU, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 68 <= int(text) <= 65535:
        raise Invalid(f"invalid MTU {text!r}: must be between 68 and 65535")
    return int(text)


def boolean(options: Mapping[str, str], name: str, default: bool) -> bool:
    """As Go's ParseBool reads it; empty is the default. Raises `Invalid`."""
    text = options.get(name, "")
    if not text:
        return default
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise Invalid(f'invalid value for {name}: "{text}" is neither true nor false')


def address(name: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address. Raises `Invalid`."""
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(f"invalid {name}: {text!r} is no IP address") from error


def link_name(what: str, text: str) -> str:
    """The name of an interface. Raises `Invalid`."""
    if len(text) > IFNAME_LIMIT or not _LINK_NAME.match(text):
        raise Invalid(f"invalid {what}: {text!r} is no name of an interface")
    return text


def check_endpoint(options: Mapping[str, str]) -> None:
    """Raises `Invalid` for an endpoint's driver options that are unknown or malformed."""
    refuse_unknown(options, frozenset((ENDPOINT_SYSCTLS, ENDPOINT_NAME)), "endpoint's")
    sysctls(options, "x")
    if options.get(ENDPOINT_NAME):
        link_name(ENDPOINT_NAME, options[ENDPOINT_NAME])


def sysctls(options: Mapping[str, str], interface: str) -> dict[str, str]:
    """The settings of the endpoint's link, as paths below /proc/sys: `net.ipv4.conf.IFNAME.log_martians=1,…`.

    IFNAME stands for the link's name, which nobody knows before. Raises `Invalid`.
    """
    found: dict[str, str] = {}
    for entry in filter(None, options.get(ENDPOINT_SYSCTLS, "").split(",")):
        name, equals, value = entry.partition("=")
        if not equals or not _SYSCTL.match(name):
            raise Invalid(f"invalid sysctl setting {entry!r}: net.X.Y.IFNAME.Z=VALUE is expected")
        found[name.replace(".", "/").replace("IFNAME", interface)] = value
    return found


def interface_name(options: Mapping[str, str], prefix: str, taken: frozenset[str]) -> str:
    """The link's name in the container: asked for, or the next free one. Raises `Invalid` for a name that is taken."""
    wanted = options.get(ENDPOINT_NAME, "")
    if wanted in taken:
        raise Invalid(f"interface name {wanted} is in use in the container already")
    return wanted or next(name for number in range(len(taken) + 1) if (name := f"{prefix}{number}") not in taken)


def _mode(options: Mapping[str, str], name: str, network: Network) -> GatewayMode:
    text = options.get(name, "") or "nat"
    if text not in get_args(GatewayMode):
        raise Invalid(f"unknown gateway mode {text}")
    if text == "isolated" and not network.internal:
        raise Invalid("gateway mode 'isolated' can only be used for an internal network")
    return cast(GatewayMode, text)
