"""What a person may set about registries: the daemon's registry flags and `daemon.json` end here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockwright import __version__
from dockwright.distribution import endpoints
from dockwright.distribution.proxies import Proxies

USER_AGENT = f"dockwright/{__version__}"
CERTS_DIRS = (Path("/etc/docker/certs.d"),)


@dataclass(frozen=True)
class RegistryOptions:
    """Settings of the registry client. Raises `Invalid` on a mirror or an insecure registry that is malformed.

    `mirrors`: registry host (`docker.io`, `quay.io`, `registry:5000`, or `*` for any) to the base URLs asked before it on a
    pull, first to last. A URL may carry a path (`https://host/prefix` is asked at `/prefix/v2/…`; one that holds `/v2` already
    is taken as it is) and `user:password@`. A mirror never sees the credentials of the registry it stands for.

    `insecure`: hosts (`name`, `name:port`) and networks (CIDR) that may lack TLS or a known certificate: https without
    verification is tried, then http. Loopback addresses and `localhost` always may, unless `certs_dirs` hold a CA for them.

    `certs_dirs`: each `<dir>/<host[:port]>/` may hold `*.crt` (CAs), and `*.cert` with `*.key` (client certificates).

    `proxies`: None takes them from the environment.

    `max_attempts` bounds how often one request is made, or a transfer goes on without progress; between them lie
    `first_delay_s`, doubled each time up to `max_delay_s`, with jitter. A registry that asks for more patience (Retry-After)
    gets it up to `max_wait_s`; beyond, the request fails.

    `chunk_bytes`: uploads are cut into requests of that size; 0 sends a blob in one request (and falls back to chunks where
    a proxy says 413). Blobs up to `monolithic_bytes` are sent with the request that finishes the upload.
    """

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: tuple[str, ...] = ()
    certs_dirs: tuple[Path, ...] = CERTS_DIRS
    proxies: Proxies | None = None
    user_agent: str = USER_AGENT
    max_attempts: int = 5
    first_delay_s: float = 0.5
    max_delay_s: float = 20.0
    max_wait_s: float = 60.0
    connect_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    chunk_bytes: int = 0
    monolithic_bytes: int = 1024 * 1024

    @property
    def for_mirrors(self) -> RegistryOptions:
        """The same with less patience: where a mirror does not serve, the registry will."""
        return replace(self, max_attempts=min(2, self.max_attempts), max_wait_s=min(1.0, self.max_wait_s))

    def __post_init__(self) -> None:
        for urls in self.mirrors.values():
            for url in urls:
                endpoints.mirror_base(url)
        for entry in self.insecure:
            endpoints.check_insecure(entry)
