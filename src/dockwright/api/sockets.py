"""Where the daemon listens: unix sockets, TCP with TLS, and descriptors handed over by a service manager."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dockwright import workers
from dockwright.errors import Conflict, Invalid
from dockwright.units import natural

DEFAULT_SOCKET = "/run/dockwright/engine.sock"
DOCKER_SOCKET = "/var/run/docker.sock"
_FIRST_PASSED_FD = 3

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Listener:
    """One `--host`. `open` begins to accept; `close` ends it and removes a unix socket's file."""

    def __init__(
        self, address: str, *, group: str = "", tls: ssl.SSLContext | None = None, optional: bool = False
    ) -> None:
        self._address = address
        self._group = group
        self._tls = tls
        self._optional = optional
        self._servers: list[asyncio.AbstractServer] = []
        self._path: Path | None = None

    def __str__(self) -> str:
        return self._address

    async def open(self, factory: ProtocolFactory) -> None:
        """Bind and accept. Raises `Conflict` when the address is taken, `Invalid` when it cannot be bound."""
        scheme, _, rest = self._address.partition("://")
        loop = asyncio.get_running_loop()
        try:
            if scheme == "unix":
                bound = await workers.quick(_bind_unix, rest, self._group)
                self._path = Path(rest)
                self._servers.append(await loop.create_unix_server(factory, sock=bound, backlog=1024))
            elif scheme == "fd":
                for passed in _passed_sockets():
                    make = loop.create_unix_server if passed.family == socket.AF_UNIX else loop.create_server
                    self._servers.append(await make(factory, sock=passed))
            else:
                host, port = split_tcp(self._address)
                self._servers.append(
                    await loop.create_server(
                        factory, host or None, port, ssl=self._tls, backlog=1024, reuse_address=True
                    )
                )
        except Conflict:
            if not self._optional:
                raise
        except OSError as error:
            raise Invalid(f"cannot listen on {self._address}: {error.strerror or error}") from error

    async def close(self) -> None:
        """Accept no more."""
        for server in self._servers:
            server.close()
        if self._path is not None and self._servers:
            await workers.quick(self._path.unlink, missing_ok=True)
        self._servers.clear()


def listeners(values: dict[str, Any]) -> list[Listener]:
    """The listeners that the flags ask for. Raises `Invalid`; TCP without TLS is refused unless asked for by name."""
    group = values["group"] or ""
    tls = _tls_context(values)
    found = []
    for address in values["host"]:
        scheme = address.partition("://")[0]
        if "://" not in address or scheme not in ("unix", "tcp", "fd"):
            raise Invalid(f"invalid --host {address!r}: unix://PATH, tcp://ADDRESS:PORT or fd:// is expected")
        if scheme == "tcp":
            split_tcp(address)
            if tls is None and not values["insecure-tcp"]:
                raise Invalid(
                    f"{address} without TLS gives root on this host to whoever reaches it: "
                    "use --tlsverify with certificates, or --insecure-tcp if that is meant"
                )
        found.append(Listener(address, group=group, tls=tls if scheme == "tcp" else None))
    if found:
        return found
    return [
        Listener(f"unix://{DEFAULT_SOCKET}", group=group),
        Listener(f"unix://{DOCKER_SOCKET}", group=group, optional=True),
    ]


def split_tcp(address: str) -> tuple[str, int]:
    """Host and port of `tcp://host:port`. Raises `Invalid`."""
    host, colon, port = address.partition("://")[2].rpartition(":")
    number = natural(port)
    if not colon or number is None or not 0 < number < 65536:
        raise Invalid(f"invalid --host {address!r}: a port is needed")
    return host.strip("[]"), number


def _tls_context(values: dict[str, Any]) -> ssl.SSLContext | None:
    if not (values["tls"] or values["tlsverify"]):
        return None
    if not values["tlscert"] or not values["tlskey"]:
        raise Invalid("TLS needs --tlscert and --tlskey")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(values["tlscert"], values["tlskey"])
        if values["tlsverify"]:
            if not values["tlscacert"]:
                raise Invalid("--tlsverify needs --tlscacert")
            context.load_verify_locations(values["tlscacert"])
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise Invalid(f"could not load the TLS key pair or CA: {error}") from error
    return context


def _bind_unix(path: str, group: str) -> socket.socket:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        if not stat.S_ISSOCK(target.stat().st_mode):
            raise Invalid(f"{path} exists and is no socket")
        if _answers(path):
            raise Conflict(f"{path} is served by another process")
        target.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # the socket is never wider than its mode, not even for an instant
    try:
        bound.bind(path)
    except OSError as error:
        bound.close()
        raise Invalid(f"cannot listen on unix://{path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    try:
        os.chown(path, 0, grp.getgrnam(group).gr_gid if group else 0)
    except KeyError:
        if group not in ("", "docker"):
            bound.close()
            raise Invalid(f"group {group} does not exist") from None
    os.chmod(path, 0o660)
    bound.setblocking(False)
    return bound


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _passed_sockets() -> list[socket.socket]:
    """Descriptors handed over by a service manager (sd_listen_fds(3)). Raises `Invalid` when there are none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise Invalid("fd:// was asked for, but no socket was handed over (LISTEN_PID is not ours)")
    count = int(os.environ.get("LISTEN_FDS", "0"))
    if not count:
        raise Invalid("fd:// was asked for, but no socket was handed over")
    found = [socket.socket(fileno=number) for number in range(_FIRST_PASSED_FD, _FIRST_PASSED_FD + count)]
    for passed in found:
        passed.setblocking(False)
    return found
