"""`--publish` and `--expose`."""

from __future__ import annotations

from dockwright import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_PROTOCOLS = ("tcp", "udp", "sctp")


def bindings(specs: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """`[[IP:]HOST:]CONTAINER[/PROTO]` or `published=…,target=…` as the API's `PortBindings`. Raises `errors.Invalid`."""
    found: dict[str, list[dict[str, str]]] = {}
    for spec in specs:
        for port, binding in _parse(_short_form(spec)):
            found.setdefault(port, []).append(binding)
    return found


def withdrawals(specs: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """`[IP:]HOST_PORT[:PORT][/PROTO]` as bindings to withdraw; "" as the port of the container stands for any.

    Raises `errors.Invalid`.
    """
    found: dict[str, list[dict[str, str]]] = {}
    for spec in specs:
        text, _, protocol = spec.partition("/")
        parts = (
            text.rsplit(":", 2)
            if "]" not in text
            else [text[: text.index("]") + 1], *text.partition("]:")[2].split(":")]
        )
        address = _address(parts.pop(0)) if len(parts) > 1 and not parts[0].isdigit() else ""
        host_port, inside = parts[0], parts[1] if len(parts) > 1 else ""
        for port in filter(None, (host_port, inside)):
            _checked(port, "port")
        key = f"{inside}/{_protocol(protocol)}"
        found.setdefault(key, []).append({"HostIp": address, "HostPort": host_port})
    return found


def exposed(specs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`80`, `80-90/udp` as the API's `ExposedPorts`. Raises `errors.Invalid`."""
    found: dict[str, dict[str, Any]] = {}
    for spec in specs:
        if ":" in spec:
            raise errors.Invalid(f"invalid port format for --expose: {spec}")
        text, _, protocol = spec.partition("/")
        try:
            first, last = _range(text)
        except ValueError as error:
            raise errors.Invalid(f"invalid range format for --expose: {spec}, error: {error}") from error
        for port in range(first, last + 1):
            found[f"{port}/{_protocol(protocol)}"] = {}
    return found


def _short_form(spec: str) -> str:
    """The long syntax (`published=8080,target=80,protocol=tcp`) in the short one."""
    if "=" not in spec:
        return spec
    fields = {}
    for field in spec.split(","):
        key, equals, value = field.partition("=")
        if not equals:
            raise errors.Invalid(f"invalid publish opts format (should be name=value but got '{field}')")
        if key not in ("target", "published", "protocol", "mode"):
            raise errors.Invalid(f"invalid publish option '{key}' in '{spec}'")
        fields[key] = value
    port = fields.get("target", "")
    if "protocol" in fields:
        port += "/" + fields["protocol"]
    return f"{fields['published']}:{port}" if fields.get("published") else port


def _parse(spec: str) -> list[tuple[str, dict[str, str]]]:
    rest, _, protocol = spec.partition("/")
    *host, container = rest.split(":")
    host_port = host[-1] if host else ""
    address = _address(":".join(host[:-1]))
    if not container:
        raise errors.Invalid(f"no port specified: {spec}<empty>")
    first, last = _checked(container, "containerPort")
    host_first, host_last = _checked(host_port, "hostPort") if host_port else (0, 0)
    if host_port and last - first != host_last - host_first and last != first:
        raise errors.Invalid(f"invalid ranges specified for container and host Ports: {container} and {host_port}")
    protocol = _protocol(protocol)
    found = []
    for step in range(last - first + 1):
        published = str(host_first + step) if host_port else ""
        if first == last and host_first != host_last:
            published = f"{host_first}-{host_last}"
        found.append((f"{first + step}/{protocol}", {"HostIp": address, "HostPort": published}))
    return found


def _address(text: str) -> str:
    if not text:
        return ""
    from ipaddress import ip_address

    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ip_address(bare)
    except ValueError as error:
        raise errors.Invalid(f"invalid IP address: {text}") from error
    return bare


def _protocol(text: str) -> str:
    protocol = text.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise errors.Invalid(f"invalid proto: {text}")
    return protocol


def _checked(text: str, what: str) -> tuple[int, int]:
    try:
        return _range(text)
    except ValueError as error:
        raise errors.Invalid(f"invalid {what}: {text}") from error


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low = _number(first)
    high = _number(last) if dash else low
    if high < low:
        raise ValueError(f"invalid range specified for port: {text}")
    return low, high


def _number(text: str) -> int:
    if not text:
        raise ValueError("empty string specified for ports")
    if not text.isascii() or not text.isdigit():
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)
