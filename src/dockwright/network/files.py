"""The three files that tell a container its names and its resolvers: `hosts`, `hostname`, `resolv.conf`. Text only.

Who writes them into the container's directory, and when, is the container's business.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.errors import Invalid

HOST_GATEWAY = "host-gateway"
_RESOLV_CONF = Path("/etc/resolv.conf")
#: Where systemd-resolved keeps the upstream servers behind its stub at 127.0.0.53 (systemd-resolved.service(8)).
_RESOLVED_CONF = Path("/run/systemd/resolve/resolv.conf")
_PUBLIC_RESOLVERS = ("8.8.8.8", "8.8.4.4")

_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


@dataclass(frozen=True, slots=True)
class Link:
    """A legacy link: the linked container's address under these names."""

    ip: str
    names: tuple[str, ...]


def hostname_file(hostname: str) -> str:
    """The content of `/etc/hostname`."""
    return hostname + "\n"


def etc_hosts(
    hostname: str,
    domainname: str = "",
    ips: Sequence[str] = (),
    *,
    extra_hosts: Iterable[str] = (),
    gateway_ip: str = "",
    links: Iterable[Link] = (),
    base: str | None = None,
) -> str:
    """The content of `/etc/hosts`.

    `ips` are the container's own addresses (none without a network), `extra_hosts` are `name:address` or `name=address`
    where the address may be `host-gateway` (then `gateway_ip`), `base` replaces the loopback lines (the host's file, in
    network mode `host`). Raises `Invalid` with Docker's words for an entry that is none.
    """
    lines = [line for entry in extra_hosts if (line := _extra(entry, gateway_ip))]
    lines += [f"{link.ip}\t{' '.join(link.names)}" for link in links]
    lines += own_lines(hostname, domainname, ips)
    start = _LOCAL if base is None else base if base.endswith("\n") or not base else base + "\n"
    return start + "".join(line + "\n" for line in lines)


def own_lines(hostname: str, domainname: str, ips: Iterable[str]) -> list[str]:
    """A container's own lines of `/etc/hosts`, one an address."""
    whole = f"{hostname}.{domainname}" if domainname else hostname
    short, dotted, _ = hostname.partition(".")  # a host name may be given whole, too
    names = f"{whole} {short}" if dotted or domainname else whole
    return [f"{ip}\t{names}" for ip in ips if ip]


def check_extra_host(entry: str) -> tuple[str, str]:
    """Split `name:address` or `name=address`. Raises `Invalid`, in Docker's words, when it is neither."""
    separator = "=" if "=" in entry else ":"
    name, found, address = entry.partition(separator)
    if not found or not name or not address:
        raise Invalid(f"bad format for add-host: {entry!r}".replace("'", '"'))
    if address != HOST_GATEWAY:
        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError as error:
            raise Invalid(f'invalid IP address in add-host: "{address}"') from error
    return name, address.strip("[]")


def _extra(entry: str, gateway_ip: str) -> str:
    name, address = check_extra_host(entry)
    if address == HOST_GATEWAY:
        if not gateway_ip:
            raise Invalid("unable to derive the IP value for host-gateway")
        address = gateway_ip
    return f"{address}\t{name}"


@dataclass(slots=True)
class _Resolvers:
    servers: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)


def resolv_conf(
    host: str,
    *,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    ipv6: bool = False,
    host_network: bool = False,
) -> str:
    """The content of `/etc/resolv.conf`, from the host's text and what was asked for.

    What is given replaces the host's; `search` of "." means none. Resolvers on the host's loopback are left out, because
    they are not reachable from a namespace of its own, and so are IPv6 ones without `ipv6`; with none left, public ones
    are named, as Docker does. In `host_network` mode nothing is left out.
    """
    if host_network and not (dns or search or options):
        return host
    found = _parse(host)
    servers = list(dns) or found.servers
    if not dns and not host_network:
        servers = [server for server in servers if _reachable(server, ipv6)] or list(_PUBLIC_RESOLVERS)
    domains = [domain for domain in (search or found.search) if domain != "."]
    lines = [f"nameserver {server}" for server in servers]
    if domains:
        lines.append("search " + " ".join(domains))
    if options or found.options:
        lines.append("options " + " ".join(options or found.options))
    lines += found.rest
    return "".join(line + "\n" for line in lines)


def internal_resolv_conf(host: str, server: str, *, search: Sequence[str] = (), options: Sequence[str] = ()) -> str:
    """The content of `/etc/resolv.conf` where the engine answers at `server`: search domains and options as in `resolv_conf`.

    Names without a dot are ours first of all: `ndots:0` where nothing else was asked for (resolv.conf(5)).
    """
    found = _parse(host)
    domains = [domain for domain in (search or found.search) if domain != "."]
    chosen = list(options or found.options)
    if not any(option.startswith("ndots:") for option in chosen):
        chosen.append("ndots:0")
    lines = [f"nameserver {server}"]
    if domains:
        lines.append("search " + " ".join(domains))
    return "".join(line + "\n" for line in (*lines, "options " + " ".join(chosen)))


def host_resolv_conf() -> str:
    """The host's resolver configuration, behind systemd-resolved's stub where that is in use. Reads a small file."""
    try:
        text = _RESOLV_CONF.read_text(errors="replace")
    except OSError:
        return ""
    if _parse(text).servers == ["127.0.0.53"]:
        try:
            return _RESOLVED_CONF.read_text(errors="replace")
        except OSError:
            pass
    return text


def host_servers() -> tuple[str, ...]:
    """The name servers the host itself asks, loopback ones too; public ones where it names none. Reads a small file."""
    try:
        return tuple(_parse(_RESOLV_CONF.read_text(errors="replace")).servers) or _PUBLIC_RESOLVERS
    except OSError:
        return _PUBLIC_RESOLVERS


def _parse(text: str) -> _Resolvers:
    found = _Resolvers()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        match words[0]:
            case "nameserver" if len(words) > 1:
                found.servers.append(words[1])
            case "search" | "domain":
                found.search = words[1:]  # the last one counts (resolv.conf(5))
            case "options":
                found.options += words[1:]
            case "sortlist":
                found.rest.append(line.strip())
    return found


def _reachable(server: str, ipv6: bool) -> bool:
    try:
        address = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return not address.is_loopback and (address.version == 4 or ipv6)
