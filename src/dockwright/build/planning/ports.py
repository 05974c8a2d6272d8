"""The ports that EXPOSE means: `80`, `80-82/udp`, and of a mapping to the host (`8080:80`) the container's side alone."""

from __future__ import annotations

import ipaddress

from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.units import natural

PROTOCOLS = ("tcp", "udp", "sctp")
LAST = 65535


def exposed(one: Expose) -> list[str]:
    """Each port as the image's configuration has it, `80/tcp`. Raises `DockerfileError`."""
    return [port for text in sorted(one.ports) for port in _ports(one, text)]


def _ports(one: Expose, text: str) -> list[str]:
    head, _, inside = text.rpartition(":")
    address, _, outside = head.rpartition(":")
    if address:
        _check_address(one, address)
    span, _, protocol = inside.partition("/")
    if not span:
        raise _error(one, text, f'invalid port: "{text}": no port specified')
    if protocol.lower() not in ("", *PROTOCOLS):
        raise _error(one, text, f'invalid port: "{text}": invalid proto: {protocol}')
    found = _range(span)
    if not found:
        raise _error(one, text, f"invalid containerPort: {span}")
    if outside:
        taken = _range(outside)
        if not taken:
            raise _error(one, text, f"invalid hostPort: {outside}")
        if 1 < len(found) != len(taken):
            raise _error(one, text, f"invalid ranges specified for container and host Ports: {span} and {outside}")
    return [f"{port}/{protocol.lower() or 'tcp'}" for port in found]


def _check_address(one: Expose, address: str) -> None:
    plain = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        raise _error(one, address, f"invalid IP address: {address}") from None


def _range(text: str) -> range:
    """Of nothing where it is none."""
    low, dash, high = text.partition("-")
    first, last = natural(low), natural(high if dash else low)
    if first is None or last is None or last > LAST or first > last:
        return range(0)
    return range(first, last + 1)


def _error(one: Expose, text: str, message: str) -> DockerfileError:
    offset = one.line.text.find(text)
    return one.line.error(message) if offset < 0 else one.line.error(message, offset, len(text))
