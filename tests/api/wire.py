"""HTTP over a unix socket with nothing between the test and the bytes."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: str, timeout_s: float = 60.0) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = connected(self._path, self.timeout)


def connected(path: str, timeout_s: float | None = 60.0) -> socket.socket:
    """A socket connected to the daemon."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)  # which waits while the backlog is full, as a socket with a time limit does not
    sock.settimeout(timeout_s)
    return sock


@dataclass(frozen=True)
class Answer:
    """One answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The documents of a body that holds several."""
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    @property
    def message(self) -> str:
        """What an error says; the body must be an error's."""
        document = self.json
        assert set(document) == {"message"}, document
        assert isinstance(document["message"], str)
        assert document["message"]
        return str(document["message"])


def hijacked(path: str, target: str, body: bytes = b"", *, upgrade: bool = True) -> socket.socket:
    """POST `target` and take the connection over; nothing after the head has been read."""
    sock = connected(path)
    head = f"POST {target} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    if upgrade:
        head += "Connection: Upgrade\r\nUpgrade: tcp\r\n"
    sock.sendall(head.encode() + b"\r\n" + body)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, answer
        answer += byte
    assert answer.split()[1] == (b"101" if upgrade else b"200"), answer
    return sock


class Api:
    """One request a connection."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> Answer:
        """`body` is sent as it is when it is bytes, as JSON else."""
        connection = UnixConnection(self.path, timeout_s)
        head = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            head.setdefault("Content-Type", "application/json")
        if query:
            path += "?" + urlencode(
                {key: value if isinstance(value, str) else json.dumps(value) for key, value in query.items()}
            )
        try:
            connection.request(method, path, body, head)
            response = connection.getresponse()
            found = {key.title(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """The same, for a request that must succeed."""
        answer = self(method, path, body, **more)
        assert answer.status < 400, f"{method} {path}: {answer.status}: {answer.body[:500]!r}"
        return answer

    def create(self, *command: str, name: str = "", **config: Any) -> str:
        """A container of busybox; its id."""
        body = {"Image": "busybox", "Cmd": list(command) or ["sleep", "1000"], **config}
        body["HostConfig"] = {"NetworkMode": "none"} | config.get("HostConfig", {})
        found: str = self.ok("POST", "/containers/create" + (f"?name={name}" if name else ""), body).json["Id"]
        return found

    def run(self, *command: str, **config: Any) -> str:
        """A started container of busybox; its id."""
        created = self.create(*command, **config)
        self.ok("POST", f"/containers/{created}/start")
        return created

    def wait(self, container: str) -> int:
        """Wait for its end; the exit code."""
        code: int = self.ok("POST", f"/containers/{container}/wait").json["StatusCode"]
        return code

    def remove(self, container: str) -> None:
        self("DELETE", f"/containers/{container}?force=1&v=1")
