"""A small engine for tests: answers from a table over a real unix socket, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Request:
    """What came in: the target without its version, the headers in lower case, the whole body."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes, version: str) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.version = version

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def json(self) -> Any:
        return json.loads(self.body)


Answer = bytes | Callable[[Request, socket.socket], None]


def answer(value: Any = None, status: int = 200, *headers: str) -> bytes:
    """A whole HTTP answer with a JSON body."""
    body = b"" if value is None else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Engine:
    """Answers `METHOD /path` from `answers`; everything else is a 404."""

    def __init__(self, directory: Path, *, api_version: str = "1.51") -> None:
        self.socket = directory / "e.sock"
        self.url = f"unix://{self.socket}"
        self.requests: list[Request] = []
        self.answers: dict[str, Answer] = {"HEAD /_ping": answer(None, 200, f"Api-Version: {api_version}")}
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.socket))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def asked(self, key: str) -> Request:
        """The last request for `METHOD /path`."""
        return next(one for one in reversed(self.requests) if f"{one.method} {one.path}" == key)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed by the test already
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while True:
                try:
                    request = read_request(stream)
                    if request is None:
                        return
                    self.requests.append(request)
                    found = self.answers.get(f"{request.method} {request.path}", answer({"message": "not here"}, 404))
                    if callable(found):
                        found(request, connection)
                        return
                    connection.sendall(found)
                except OSError:
                    return


def read_request(stream: Any) -> Request | None:
    line = stream.readline().decode()
    if not line:
        return None
    method, target, _ = line.split()
    version = ""
    if target.startswith("/v1."):
        version, _, rest = target[2:].partition("/")
        target = "/" + rest
    headers: dict[str, str] = {}
    while (field := stream.readline().decode().strip()) != "":
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        body = stream.read(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body, version)
