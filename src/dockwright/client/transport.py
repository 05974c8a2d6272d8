"""Connected byte streams for the synchronous face.

`_socket` is used in place of `socket`: that module turns a hundred constants into enums, 10 ms before the first byte.
"""

from __future__ import annotations

from dockwright.client.errors import CannotConnect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket

    from dockwright.client.endpoint import Endpoint
else:
    import _socket

CONNECT_TIMEOUT_S = 30.0


class Transport:
    """A connected stream socket. `send` blocks; `queue` and `flush_some` are for callers with a poll loop of their own."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._outgoing = bytearray()
        self._write_closed = False

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def unsent(self) -> bool:
        """Bytes are queued that the kernel has not taken yet."""
        return bool(self._outgoing)

    @property
    def readable(self) -> bool:
        """Bytes are waiting in this process, where poll(2) does not see them."""
        return False

    def recv(self, limit: int) -> bytes:
        return self._sock.recv(limit)

    def send(self, data: bytes) -> None:
        self.queue(data)
        self.send_plain(b"")

    def send_plain(self, data: bytes) -> None:
        """Send what is queued and then `data` as it is, below any encryption."""
        self._outgoing += data
        while self._outgoing:
            sent = self._sock.send(self._outgoing)
            del self._outgoing[:sent]

    def queue(self, data: bytes) -> None:
        self._outgoing += data

    def flush_some(self) -> None:
        """Hand the kernel what it takes without blocking."""
        while self._outgoing:
            try:
                sent = self._sock.send(self._outgoing, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            del self._outgoing[:sent]

    def close_write(self) -> None:
        """Tell the peer that no more comes; it may go on sending. Queued bytes go first. Twice is fine."""
        if self._write_closed:
            return
        self._write_closed = True
        try:
            self.send(b"")
            self._sock.shutdown(_socket.SHUT_WR)
        except OSError:
            pass  # the peer has gone already: there is nobody to tell

    def close(self) -> None:
        self._sock.close()


def connect(endpoint: Endpoint) -> Transport:
    """Connect to `endpoint`; raises `CannotConnect`."""
    if endpoint.scheme == "unix":
        return Transport(_connect_unix(endpoint))
    if endpoint.scheme == "ssh":
        from dockwright.client.ssh import dial

        return Transport(dial(endpoint))
    sock = _connect_tcp(endpoint)
    if endpoint.tls is None:
        return Transport(sock)
    from dockwright.client.tls import TlsTransport

    return TlsTransport(sock, endpoint)


def _connect_unix(endpoint: Endpoint) -> _socket.socket:
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(endpoint.path)
    except PermissionError as error:
        sock.close()
        raise CannotConnect(
            f"permission denied while trying to connect to the Docker daemon socket at {endpoint.url}"
        ) from error
    except OSError as error:
        sock.close()
        raise unreachable(endpoint) from error
    return sock


def _connect_tcp(endpoint: Endpoint) -> _socket.socket:
    try:
        found = _socket.getaddrinfo(endpoint.host, endpoint.port, 0, _socket.SOCK_STREAM)
    except OSError as error:
        raise CannotConnect(f"cannot resolve {endpoint.host}: {error.args[-1]}") from error
    for family, kind, protocol, _, address in found:
        sock = _socket.socket(family, kind | _socket.SOCK_CLOEXEC, protocol)
        sock.settimeout(CONNECT_TIMEOUT_S)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            continue
        sock.settimeout(None)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        return sock
    raise unreachable(endpoint)


def unreachable(endpoint: Endpoint) -> CannotConnect:
    """Docker's wording: tools look for it."""
    return CannotConnect(f"Cannot connect to the Docker daemon at {endpoint.url}. Is the docker daemon running?")
