"""Where the engine is and how to reach it: `-H`, `DOCKER_HOST`, a context, or the default socket, in this order."""

from __future__ import annotations

import os

from dockwright import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.client.config import Config

DEFAULT_SOCKETS = ("/run/dockwright/engine.sock", "/var/run/docker.sock")
_SCHEMES = ("unix", "tcp", "http", "https", "ssh")


class Tls:
    """Files of a TLS connection; an empty path means: not given. `verify` false trusts any server."""

    __slots__ = ("ca", "cert", "key", "server_name", "verify")

    def __init__(self, ca: str = "", cert: str = "", key: str = "", verify: bool = True, server_name: str = "") -> None:
        self.ca = ca
        self.cert = cert
        self.key = key
        self.verify = verify
        self.server_name = server_name


class Endpoint:
    """One engine: `scheme` unix, tcp or ssh; for unix `path`, else `host` and `port` (and `user` with ssh)."""

    __slots__ = ("base_path", "host", "path", "port", "scheme", "tls", "url", "user")

    def __init__(self, url: str, scheme: str, *, path: str = "", host: str = "", port: int = 0, user: str = "") -> None:
        self.url = url
        self.scheme = scheme
        self.path = path
        self.host = host
        self.port = port
        self.user = user
        self.base_path = ""
        self.tls: Tls | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.url})"

    @classmethod
    def default(cls) -> Endpoint:
        """Our socket where it exists, else Docker's."""
        for path in DEFAULT_SOCKETS:
            if os.path.exists(path):
                return cls(f"unix://{path}", "unix", path=path)
        return cls(f"unix://{DEFAULT_SOCKETS[0]}", "unix", path=DEFAULT_SOCKETS[0])

    @classmethod
    def parse(cls, text: str, tls: Tls | None = None) -> Endpoint:
        """The endpoint `text` names, as `-H` takes it: `unix:///path`, `tcp://host:port`, `ssh://user@host`, `host:port`.

        Raises `errors.Invalid` for a scheme or port that cannot be.
        """
        scheme, separator, rest = text.partition("://")
        if not separator:
            scheme, rest = ("unix", text) if text.startswith("/") else ("tcp", text)
        if scheme not in _SCHEMES:
            raise errors.Invalid(f"unable to parse docker host `{text}`: use unix://, tcp:// or ssh://")
        if scheme == "unix":
            path = rest or DEFAULT_SOCKETS[1]
            return cls(f"unix://{path}", "unix", path=path)
        endpoint = _parse_network(text, scheme, rest)
        if scheme == "https" and tls is None:
            tls = Tls()
        if endpoint.scheme == "tcp":
            endpoint.tls = tls
            endpoint.port = endpoint.port or (2376 if tls else 2375)
        return endpoint


def _parse_network(text: str, scheme: str, rest: str) -> Endpoint:
    address, slash, path = rest.partition("/")
    user, at, address = address.rpartition("@")
    if at and scheme != "ssh":
        raise errors.Invalid(f"unable to parse docker host `{text}`: a user name belongs to ssh:// only")
    host, port = _split_port(text, address)
    if scheme == "ssh" and ":" in user:
        raise errors.Invalid("plain-text password is not supported in an ssh:// address")
    if scheme == "ssh" and (not host or host.startswith("-") or user.startswith("-")):
        raise errors.Invalid(f"unable to parse docker host `{text}`: no host name")
    endpoint = Endpoint(text if "://" in text else f"tcp://{text}", "ssh" if scheme == "ssh" else "tcp")
    endpoint.host = host or "localhost"
    endpoint.port = port
    endpoint.user = user
    endpoint.path = slash + path if scheme == "ssh" else ""
    endpoint.base_path = (slash + path).rstrip("/") if scheme != "ssh" else ""
    return endpoint


def _split_port(text: str, address: str) -> tuple[str, int]:
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise errors.Invalid(f"unable to parse docker host `{text}`: missing ']' in host")
        port = port[1:]
    else:
        host, _, port = address.partition(":")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise errors.Invalid(f'unable to parse docker host `{text}`: invalid port ":{port}" after host')
    return host, int(port or 0)


def tls_from_environment(config_dir: str) -> Tls | None:
    """`DOCKER_TLS`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` as Docker reads them."""
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not os.environ.get("DOCKER_TLS"):
        return None
    return tls_in_directory(os.environ.get("DOCKER_CERT_PATH") or config_dir, verify)


def tls_in_directory(directory: str, verify: bool) -> Tls:
    """ca.pem, cert.pem and key.pem of `directory`, those that exist."""

    def existing(name: str) -> str:
        path = os.path.join(directory, name)
        return path if os.path.exists(path) else ""

    return Tls(existing("ca.pem"), existing("cert.pem"), existing("key.pem"), verify)


def context_name(config: Config, host: str = "", context: str = "") -> str:
    """The name of the context in force: `default` when a host is named by `-H` or `DOCKER_HOST`."""
    if context:
        return context
    if host or os.environ.get("DOCKER_HOST"):
        return "default"
    return os.environ.get("DOCKER_CONTEXT") or config.text("currentContext") or "default"


def resolve(config: Config, *, host: str = "", context: str = "", tls: Tls | None = None) -> Endpoint:
    """The engine to speak to. `host` and `context` are the command line's; raises `errors.Invalid`/`NotFound`."""
    if host and context:
        raise errors.Invalid("conflicting options: cannot specify both --host and --context")
    name = context_name(config, host, context)
    if name != "default":
        from dockwright.client import contexts

        return contexts.Store(config.directory).endpoint(name)
    return default_endpoint(config, host, tls)


def default_endpoint(config: Config, host: str = "", tls: Tls | None = None) -> Endpoint:
    """The engine of no context: `host`, `DOCKER_HOST`, or the default socket."""
    text = host or os.environ.get("DOCKER_HOST", "")
    tls = tls or tls_from_environment(config.directory)
    return Endpoint.parse(text, tls) if text else Endpoint.default()
