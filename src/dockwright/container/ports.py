"""Which ports a container publishes, from PortBindings, ExposedPorts and PublishAllPorts. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from dockwright.container.config import Config, HostConfig, PortBinding
from dockwright.errors import Invalid
from dockwright.network import Attachment, PortRequest, parse_port_request
from dockwright.units import natural


def parse(text: str) -> tuple[int, str]:
    """`80/tcp` or `80` to (80, "tcp"). Raises `Invalid` with Docker's wording."""
    number, _, protocol = text.partition("/")
    port = natural(number)
    if port is None or not 1 <= port <= 65535:
        raise Invalid(f"invalid port specification: {text[:64]!r}")
    return port, (protocol or "tcp").lower()


def expand(exposed: Iterable[str]) -> list[str]:
    """Exposed ports with ranges (`80-82/tcp`) written out. Raises `Invalid`."""
    found = []
    for text in exposed:
        span, _, protocol = text.partition("/")
        first, dash, last = span.partition("-")
        low, protocol = parse(f"{first}/{protocol or 'tcp'}")
        high = parse(last)[0] if dash else low
        if high < low:
            raise Invalid(f"invalid range specified for port: {text}")
        found += [f"{number}/{protocol}" for number in range(low, high + 1)]
    return found


def requests(config: Config, host: HostConfig) -> list[PortRequest]:
    """What to publish. Raises `Invalid`."""
    wanted: list[PortRequest] = []
    bound = host.port_bindings or {}
    for text, bindings in bound.items():
        number, protocol = parse(text)
        wanted += [
            parse_port_request(number, protocol, binding.host_ip, binding.host_port)
            for binding in bindings or [PortBinding()]
        ]
    if host.publish_all_ports:
        for text in expand(config.exposed_ports or {}):
            if text not in bound:
                wanted.append(parse_port_request(*parse(text), "", ""))
    return wanted


def port_map(config: Config, attachment: Attachment | None) -> dict[str, list[dict[str, str]] | None]:
    """`NetworkSettings.Ports`: exposed ports, and where they are published."""
    found: dict[str, list[dict[str, str]] | None] = dict.fromkeys(expand(config.exposed_ports or {}))
    for port in attachment.ports if attachment else ():
        key = f"{port.container_port}/{port.protocol}"
        bindings = found.get(key) or []
        found[key] = [*bindings, {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}]
    return found
