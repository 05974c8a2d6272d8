"""Which proxy a URL is reached through: by the environment, with the rules of Go's `httpproxy`, which Docker follows. No I/O.

`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (or lower case; capitals win). `NO_PROXY` is a list with commas of `*`, addresses,
CIDR networks, and names: `example.com` means it and everything below, `.example.com` only what is below; each but a network
may carry `:port`. Loopback addresses and `localhost` are never proxied.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from dockwright.distribution.urls import NO_URL
from dockwright.errors import Invalid, Unsupported

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxies:
    """The proxy for `http` and for `https` URLs (empty: none), and what is reached without. They may hold passwords."""

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    no_proxy: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Proxies:
        """As the process was started. In a CGI program `HTTP_PROXY` is a request header, and is not believed."""
        http = "" if "REQUEST_METHOD" in environment else _either(environment, "HTTP_PROXY")
        return cls(http, _either(environment, "HTTPS_PROXY"), _either(environment, "NO_PROXY"))

    def choose(self, url: URL) -> URL | None:
        """The proxy for `url`. Raises `Invalid` or `Unsupported` when the one set cannot be used."""
        proxy = self.https if url.scheme == "https" else self.http
        if not proxy or _exempt(url, self.no_proxy):
            return None
        return _parse(proxy)


def _either(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.lower()) or ""


def _parse(text: str) -> URL:
    try:
        proxy = URL(text if "://" in text else f"http://{text}")
        host = proxy.host
    except NO_URL:
        host = None
    if not host:
        raise Invalid("the proxy that the environment names is no URL")
    if proxy.scheme not in _PORTS:
        raise Unsupported(f"a proxy with the scheme {proxy.scheme!r} is not supported: http and https are")
    return proxy


def _exempt(url: URL, no_proxy: str) -> bool:
    host = (url.host or "").rstrip(".").lower()
    port = url.port or _PORTS.get(url.scheme, 0)
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(entry.strip().lower(), host, port, address) for entry in no_proxy.split(","))


def _matches(entry: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _within(address, entry)
    name, entry_port = _split_port(entry)
    if entry_port and entry_port != str(port):
        return False
    if (wanted := _address(name)) is not None:
        return address == wanted
    if address is not None:
        return False
    name = name.removeprefix("*")
    if name.startswith("."):
        return len(name) > 1 and host.endswith(name)
    return bool(name) and (host == name or host.endswith("." + name))


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, colon, port = entry.rpartition(":")
    if not colon or ":" in name:
        return entry, ""
    return name, port


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
