"""A small HTTP server in a thread, whose every answer a test writes itself, down to the bytes on the wire."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit


@dataclass
class Exchange:
    """One request, and the means to answer it. `path` is without the query."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    _handler: BaseHTTPRequestHandler = field(repr=False)
    left: int = 0

    def read(self, limit: int | None = None) -> bytes:
        """The body, or its next bytes up to `limit`; less when the client ends it."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            return self._read_chunked()
        wanted = self.left if limit is None else min(limit, self.left)
        content = self._handler.rfile.read(wanted)
        self.left -= len(content)
        return content

    def send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """A whole answer; its Content-Length is the body's unless `headers` say otherwise."""
        self.head(status, {"Content-Length": str(len(body))} | (headers or {}))
        if self.method != "HEAD":
            self.raw(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        """The beginning of an answer."""
        self._handler.send_response_only(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        if "Transfer-Encoding" in headers or self.left:
            self._handler.close_connection = True

    def raw(self, content: bytes) -> None:
        """Bytes as they are. A client that has gone is no error."""
        try:
            self._handler.wfile.write(content)
            self._handler.wfile.flush()
        except OSError:
            self._handler.close_connection = True

    def cut(self) -> None:
        """End the connection here."""
        self._handler.close_connection = True
        try:
            self._handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the client was faster

    def _read_chunked(self) -> bytes:
        content = b""
        while size := int(self._handler.rfile.readline() or b"0", 16):
            content += self._handler.rfile.read(size)
            self._handler.rfile.readline()
        self._handler.rfile.readline()
        return content


Handle = Callable[[Exchange], None]


class WebServer:
    """`handle` answers every request; `requests` are those that came, in order; `accepted` counts connections."""

    def __init__(self, handle: Handle, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.handle = handle
        self.requests: list[Exchange] = []
        self.accepted = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def _any(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
                length = int(self.headers.get("Content-Length") or 0)
                exchange = Exchange(self.command, parts.path, query, self.headers, self, length)
                outer.requests.append(exchange)
                try:
                    outer.handle(exchange)
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = _any

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
                connection, address = super().get_request()
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                outer._connections.add(connection)
                outer.accepted += 1
                return connection, address

            def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
                outer._connections.discard(request)
                super().shutdown_request(request)

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients that hang up, and handshakes that fail, are what some tests are about

        self._connections: set[socket.socket] = set()
        self._server = Server((host, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.host = f"{host}:{self._server.server_address[1]}"
        self.url = f"{'https' if context else 'http'}://{self.host}"

    def asked(self, pattern: str) -> list[Exchange]:
        """The requests whose `METHOD path` matches `pattern` from its beginning."""
        return [one for one in self.requests if re.match(pattern, f"{one.method} {one.path}")]

    def stop(self) -> None:
        """End it, with every connection. Safe to call twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # gone already

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass
class Answer:
    """What a registry behind answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Between(WebServer):
    """A server between client and registry: passes everything on, but for what a test tells it to do otherwise.

    with Between(registry.host) as between:
        between.misbehave(r"GET .*/blobs/", lambda exchange: between.cut_after(exchange, 1000), times=2)
    """

    def __init__(self, upstream: str) -> None:
        super().__init__(self._pass_on)
        self._upstream = upstream
        self._rules: list[tuple[re.Pattern[str], Handle, list[None]]] = []
        self._lock = threading.Lock()

    def misbehave(self, pattern: str, handle: Handle, times: int = 1) -> None:
        """Let `handle` answer the next `times` requests whose `METHOD path` matches `pattern`."""
        self._rules.append((re.compile(pattern), handle, [None] * times))

    def forward(self, exchange: Exchange) -> Answer:
        """Ask the registry behind; the whole body is held in memory."""
        connection = http.client.HTTPConnection(self._upstream, timeout=30)
        try:
            path = exchange._handler.path
            headers = {name: value for name, value in exchange.headers.items() if name.lower() != "connection"}
            connection.request(exchange.method, path, body=exchange.read(), headers=headers)
            response = connection.getresponse()
            body = response.read()
            dropped = ("connection", "transfer-encoding", "date", "keep-alive")
            return Answer(response.status, {k: v for k, v in response.getheaders() if k.lower() not in dropped}, body)
        finally:
            connection.close()

    def reply(self, exchange: Exchange, answer: Answer) -> None:
        """Send an answer on."""
        exchange.send(answer.status, answer.headers, answer.body)

    def cut_after(self, exchange: Exchange, count: int) -> None:
        """Answer as the registry does, and end the connection after `count` bytes of the body."""
        answer = self.forward(exchange)
        exchange.head(answer.status, answer.headers)
        exchange.raw(answer.body[:count])
        exchange.cut()

    def _pass_on(self, exchange: Exchange) -> None:
        (self._rule(exchange) or self._honest)(exchange)

    def _honest(self, exchange: Exchange) -> None:
        self.reply(exchange, self.forward(exchange))

    def _rule(self, exchange: Exchange) -> Handle | None:
        with self._lock:
            for pattern, handle, left in self._rules:
                if left and pattern.match(f"{exchange.method} {exchange.path}"):
                    left.pop()
                    return handle
        return None
