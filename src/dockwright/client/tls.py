"""TLS with client certificates, over any byte stream and with half-close.

`ssl.SSLSocket` and asyncio's TLS transports cannot close one direction; a hijacked stream needs that for the end of stdin.
So the protocol runs in memory (`SSLObject`), and closing the writing side sends close_notify and goes on reading.
"""

from __future__ import annotations

import ssl

from dockwright.client.errors import CannotConnect
from dockwright.client.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket

    from dockwright.client.endpoint import Endpoint, Tls

_RECORD_BYTES = 64 * 1024


def make_context(tls: Tls) -> ssl.SSLContext:
    """Raises `CannotConnect` when a certificate file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if tls.verify and tls.ca:
            context.load_verify_locations(tls.ca)
        elif tls.verify:
            context.load_default_certs()
        if tls.cert and tls.key:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(name for name in (tls.ca, tls.cert, tls.key) if name)
        raise CannotConnect(f"cannot use the TLS certificates {names}: {error}") from error
    return context


class TlsPipe:
    """One TLS connection as bytes in and out."""

    def __init__(self, tls: Tls, host: str) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._object = make_context(tls).wrap_bio(self._in, self._out, server_hostname=tls.server_name or host)
        self._ended = False

    def handshake(self, received: bytes = b"") -> bool:
        """One step with what the peer sent; true once the connection is up. `outgoing` must be sent after each step."""
        self._in.write(received)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise CannotConnect(f"TLS handshake failed: {error.reason or error}") from error
        return True

    def outgoing(self) -> bytes:
        return self._out.read()

    def encrypt(self, data: bytes) -> bytes:
        at = 0
        while at < len(data):
            at += self._object.write(data[at : at + _RECORD_BYTES])
        return self._out.read()

    def decrypt(self, received: bytes) -> bytes | None:
        """Plain bytes in what the peer sent (`b""`: its connection ended); `None` when more is needed for any."""
        if received:
            self._in.write(received)
        else:
            self._in.write_eof()
        plain = []
        try:
            while piece := self._object.read(_RECORD_BYTES):
                plain.append(piece)
            self._ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self._ended = True
        except ssl.SSLError as error:
            raise CannotConnect(f"TLS: {error.reason or error}") from error
        if plain:
            return b"".join(plain)
        return b"" if self._ended or not received else None

    def close_write(self) -> bytes:
        """close_notify, to be sent."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass  # it wants the peer's close_notify, which comes when the peer is done
        return self._out.read()


class TlsTransport(Transport):
    """A `Transport` whose bytes travel encrypted."""

    def __init__(self, sock: _socket.socket, endpoint: Endpoint) -> None:
        super().__init__(sock)
        assert endpoint.tls is not None
        self._pipe = TlsPipe(endpoint.tls, endpoint.host)
        received, up = b"", False
        try:
            while not up:
                up = self._pipe.handshake(received)
                self.send_plain(self._pipe.outgoing())
                if not up:
                    received = sock.recv(_RECORD_BYTES)
                    if not received:
                        raise CannotConnect(f"{endpoint.url} closed the connection during the TLS handshake")
        except (CannotConnect, OSError):
            sock.close()
            raise

    def recv(self, limit: int) -> bytes:
        while True:
            plain = self._pipe.decrypt(self._sock.recv(limit))
            if plain is not None:
                return plain

    def queue(self, data: bytes) -> None:
        super().queue(self._pipe.encrypt(data))

    def close_write(self) -> None:
        if self._write_closed:
            return
        self._write_closed = True
        try:
            self.send_plain(self._pipe.close_write())
        except OSError:
            pass  # the peer has gone already: there is nobody to tell
