"""The Engine API over a unix socket, as thin as it gets: the client must not be what is measured."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlencode

API = "/v1.41"  # the newest that Debian's dockerd 20.10 speaks


class Failed(Exception):
    """The engine refused: its status and words."""


class Connection(http.client.HTTPConnection):
    """One kept-alive connection; not for two threads at once."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=300)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def call(self, method: str, path: str, body: object = None, /, **query: str) -> Any:
        """Call and decode. Raises `Failed`."""
        data = self.raw(method, path, body, **query)
        return json.loads(data) if data else None

    def raw(self, method: str, path: str, body: object = None, /, **query: str) -> bytes:
        """Call and return the body as it came. Raises `Failed`."""
        target = f"{API}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = None if body is None else json.dumps(body).encode()
        self.request(method, target, sent, {"Content-Type": "application/json"} if sent else {})
        answer = self.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise Failed(f"{method} {path}: {answer.status} {data.decode(errors='replace').strip()}")
        return data
