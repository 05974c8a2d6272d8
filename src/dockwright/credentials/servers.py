"""The names a registry goes by: `docker.io` has many, and config.json keeps it under a URL from before registries had names."""

from __future__ import annotations

HUB = "https://index.docker.io/v1/"
_HUB_HOSTS = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))


def hostname(server: str) -> str:
    """`server` without scheme and path: `https://registry:5000/v2/` is `registry:5000`."""
    return server.partition("://")[2].partition("/")[0] if "://" in server else server.partition("/")[0]


def key_of(server: str) -> str:
    """The name that credentials for `server` (a host, a URL, or nothing for the hub) are kept under."""
    host = hostname(server)
    return HUB if not host or host in _HUB_HOSTS else host
