"""A tiny forward proxy: CONNECT tunnels and requests in absolute form."""

from __future__ import annotations

import http.client
import socket
import threading
from urllib.parse import urlsplit

from tests.webserver import Exchange, WebServer


class ProxyServer(WebServer):
    """Sends everything to `upstream` (`host:port`), whatever name was asked for; `account` (`name:password`) is required if set.

    `targets` are the `host:port` or URLs that were asked for, in order.
    """

    def __init__(self, upstream: str, account: str = "") -> None:
        super().__init__(self._pass_on)
        self._upstream = upstream
        self._account = account
        self.targets: list[str] = []

    def _pass_on(self, exchange: Exchange) -> None:
        import base64

        wanted = "Basic " + base64.b64encode(self._account.encode()).decode()
        if self._account and exchange.headers.get("Proxy-Authorization") != wanted:
            exchange.send(407, {"Proxy-Authenticate": "Basic"})
            return
        self.targets.append(exchange._handler.path)
        if exchange.method == "CONNECT":
            self._tunnel(exchange)
        else:
            self._ask(exchange)

    def _ask(self, exchange: Exchange) -> None:
        parts = urlsplit(exchange._handler.path)
        connection = http.client.HTTPConnection(self._upstream, timeout=30)
        headers = {k: v for k, v in exchange.headers.items() if not k.lower().startswith("proxy-")}
        connection.request(exchange.method, parts._replace(scheme="", netloc="").geturl(), exchange.read(), headers)
        response = connection.getresponse()
        body = response.read()
        exchange.send(response.status, {k: v for k, v in response.getheaders() if k.lower() != "connection"}, body)
        connection.close()

    def _tunnel(self, exchange: Exchange) -> None:
        host, _, port = self._upstream.rpartition(":")
        client = exchange._handler.connection
        with socket.create_connection((host, int(port)), timeout=30) as upstream:
            exchange.raw(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(upstream, client), daemon=True)
            back.start()
            _copy(client, upstream)
            back.join()
        exchange._handler.close_connection = True


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has gone
