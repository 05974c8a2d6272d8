"""A container's place on its networks as asked for: normalised, validated, and as the networks' manager takes it. Pure.

`Specification.endpoints` holds every network the container is to be on, by name; empty means the one of its network mode.
"""

from __future__ import annotations

import ipaddress

from dockwright.container import ports
from dockwright.container.config import EndpointIPAMConfig, EndpointSettings, HostConfig
from dockwright.container.parts import Defaults
from dockwright.container.record import Record
from dockwright.errors import Invalid, NotFound
from dockwright.network import PREDEFINED, AttachRequest, Join, Networks, Resolver

_LINK_LOCAL = {4: ("169.254.0.0/16", 16), 6: ("fe80::/10", 64)}


def is_shared(mode: str) -> bool:
    """Whether a container of this mode has no network namespace of its own."""
    return mode == "host" or mode.startswith("container:")


def network_of(networks: Networks, reference: str) -> str:
    """The name of the network a mode or key means; the reference itself where there is none yet."""
    try:
        return networks.get(reference).name
    except NotFound:
        return "bridge" if reference == "default" else reference


def normalise(networks: Networks, host: HostConfig, asked: dict[str, EndpointSettings]) -> dict[str, EndpointSettings]:
    """Endpoints by network name, the network mode's own first. Raises `Invalid` for what does not go together."""
    mode = host.network_mode
    if mode.startswith("container:"):
        if asked:
            raise Invalid("conflicting options: cannot attach to a network and share another container's")
        return {}
    primary = network_of(networks, mode)
    found = {primary: EndpointSettings()}
    for key, settings in asked.items():
        name = network_of(networks, key)
        if (name in ("host", "none") and name != primary) or (primary in ("host", "none") and name != primary):
            raise Invalid(f"conflicting options: network {name} beside network mode {mode}")
        found[name] = settings
    if host.links and primary not in PREDEFINED:
        found[primary].links = [*(found[primary].links or []), *host.links]
        host.links = None
    for name, settings in found.items():
        check(name, settings, mode)
    return found


def check(name: str, settings: EndpointSettings, mode: str = "") -> None:
    """Raises `Invalid`, in Docker's words, for settings that a network of this name cannot have."""
    if name in PREDEFINED and settings.aliases:
        raise Invalid("network-scoped alias is supported only for containers in user defined networks")
    if name in PREDEFINED and settings.links:
        raise Invalid("network-scoped links are supported only for containers in user defined networks")
    if settings.mac_address and is_shared(mode):
        raise Invalid("conflicting options: mac-address and the network mode")
    ipam = settings.ipam_config or EndpointIPAMConfig()
    faults = []
    for version, text in ((4, ipam.ipv4_address), (6, ipam.ipv6_address)):
        if text and not _is_address(text, version):
            faults.append(f"invalid IPv{version} address: {text}")
    faults += [f"invalid link-local IP address: {text}" for text in ipam.link_local_ips or [] if not _link_local(text)]
    if faults:
        raise Invalid("invalid endpoint settings:\n" + "\n".join(faults))


def join(name: str, settings: EndpointSettings, mac_address: str = "") -> Join:
    """One network of a container, as the networks' manager takes it."""
    ipam = settings.ipam_config or EndpointIPAMConfig()
    return Join(
        network=name,
        mac_address=settings.mac_address or mac_address,
        ipv4_address=ipam.ipv4_address,
        ipv6_address=ipam.ipv6_address,
        link_local=tuple(_link_local(text) for text in ipam.link_local_ips or []),
        aliases=tuple(settings.aliases or ()),
        links=tuple(settings.links or ()),
        gateway_priority=settings.gw_priority,
        options=dict(settings.driver_opts or {}),
    )


def attach_request(record: Record, networks: Networks, defaults: Defaults) -> AttachRequest:
    """What a start asks the networks for. Not for a container that shares somebody's namespace."""
    spec = record.spec
    if spec.config.network_disabled:
        joins: tuple[Join, ...] = (Join("none"),)
    else:
        primary = network_of(networks, spec.host.network_mode)
        wanted = {network_of(networks, key): settings for key, settings in spec.endpoints.items()}
        wanted = wanted or {primary: EndpointSettings()}
        mac = spec.config.mac_address or ""
        joins = tuple(join(name, settings, mac if name == primary else "") for name, settings in wanted.items())
    return AttachRequest(
        name=record.name,
        joins=joins,
        ports=tuple(ports.requests(spec.config, spec.host)),
        hostname=spec.config.hostname,
        resolver=Resolver(tuple(spec.host.dns or defaults.dns)),
    )


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _link_local(text: str) -> str:
    """The address with the prefix its link has; "" for one that is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    whole, prefix = _LINK_LOCAL[address.version]
    return f"{address}/{prefix}" if address in ipaddress.ip_network(whole) else ""
