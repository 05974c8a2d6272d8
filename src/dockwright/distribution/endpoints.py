"""Where a registry is asked: which base URLs, in which order, and how much each is trusted. No I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from yarl import URL

from dockwright.distribution.urls import NO_URL
from dockwright.errors import Invalid

HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?::\d{1,5})?|\[[0-9a-fA-F:.]+\](?::\d{1,5})?", re.ASCII)


@dataclass(frozen=True)
class Endpoint:
    """One base URL, ending in `/`, below which a registry's repositories lie (`https://host/v2/`).

    `verified`: TLS with a certificate we can check is required; else https is taken unchecked and http is taken too.
    `registry` is whose content it holds, which a mirror is told (`?ns=`).
    """

    base: URL
    registry: str
    verified: bool
    mirror: bool = False

    @property
    def host(self) -> str:
        """`name` or `name:port`, as the directories of certificates are called."""
        return authority(self.base)

    @property
    def account(self) -> tuple[str, str]:
        """The name and password a mirror's URL carries."""
        return self.base.user or "", self.base.password or ""


def authority(url: URL) -> str:
    """`host`, or `host:port` where the port is not the scheme's own; IPv6 addresses in brackets."""
    host = url.host or ""
    host = f"[{host}]" if ":" in host else host
    return host if url.is_default_port() or url.port is None else f"{host}:{url.port}"


def direct(registry: str, *, insecure: bool) -> tuple[Endpoint, ...]:
    """The ways to a registry itself, best first: one, or https and then http where that is allowed."""
    host = HUB_HOST if registry == HUB else registry
    if not _HOST.fullmatch(host):
        raise Invalid(f"invalid registry host {registry!r}")
    schemes = ("https", "http") if insecure else ("https",)
    try:
        return tuple(Endpoint(URL(f"{scheme}://{host}/v2/"), registry, not insecure) for scheme in schemes)
    except NO_URL as error:
        raise Invalid(f"invalid registry host {registry!r}: {error}") from None


def mirrors(registry: str, table: Mapping[str, tuple[str, ...]]) -> list[URL]:
    """The bases of a registry's mirrors, first to last: its own, then those for any."""
    return [mirror_base(url) for url in dict.fromkeys((*table.get(registry, ()), *table.get("*", ())))]


def mirror_base(text: str) -> URL:
    """A mirror's URL as a base. Raises `Invalid`, with Docker's words and without a password."""
    try:
        url = URL(text)
        host = url.host
    except NO_URL:
        raise Invalid("invalid mirror: it is no URL") from None
    if url.scheme not in ("http", "https"):
        raise Invalid(f"invalid mirror: unsupported scheme {url.scheme!r}: it must be http or https")
    if not host:
        raise Invalid("invalid mirror: it names no host")
    if url.query_string or url.fragment:
        raise Invalid(f"invalid mirror: unsupported query or fragment in {url.with_user(None)}")
    path = url.path.rstrip("/")
    return url.with_path(f"{path}/" if "v2" in path.split("/") else f"{path}/v2/")


def check_insecure(entry: str) -> None:
    """Raises `Invalid` when an entry of the insecure registries is neither a host nor a network."""
    if "://" in entry:
        raise Invalid(f"insecure registry {entry} should not contain '://'")
    if "/" in entry:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError:
            raise Invalid(f"insecure registry {entry} is no network") from None
    elif not _HOST.fullmatch(entry) and address(entry) is None:
        raise Invalid(f"insecure registry {entry!r} is no host")


def split_host(host: str) -> tuple[str, int | None]:
    """`name:port` apart; brackets of IPv6 go."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    return name, int(port) if port.isascii() and port.isdigit() else None


def address(name: str) -> Address | None:
    """`name` as an IP address; None when it is a name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def is_loopback(name: str) -> bool:
    """Whether `name` is this host by its very form: what a name resolves to is not trusted for that."""
    literal = address(name)
    return name.lower().rstrip(".") == "localhost" or (literal is not None and literal.is_loopback)


def listed(name: str, port: int | None, insecure: Iterable[str], resolved: Iterable[Address]) -> bool:
    """Whether the list of insecure registries names this host, or a network that holds one of its addresses."""
    literal = address(name)
    addresses = [literal] if literal is not None else list(resolved)
    return any(_names(entry, name.lower(), port, addresses) for entry in insecure)


def has_networks(insecure: Iterable[str]) -> bool:
    """Whether the list can only be judged with a host's addresses."""
    return any("/" in entry for entry in insecure)


def _names(entry: str, name: str, port: int | None, addresses: list[Address]) -> bool:
    if "/" in entry:
        network = ipaddress.ip_network(entry, strict=False)
        return any(one in network for one in addresses)
    bare = address(entry)
    host, wanted = (entry, None) if bare is not None else split_host(entry)
    same = address(host) == address(name) if address(host) is not None else host.lower() == name
    return same and (wanted is None or wanted == port)
