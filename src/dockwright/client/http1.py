"""HTTP/1.1 messages as values: requests out, response heads and bodies in; no socket here (RFC 9112).

What the Engine API needs and no more: fixed-length, chunked and until-close bodies, interim responses, and the switch to
a raw stream after `101` (or after a `200` without a length, as engines answered an upgrade before API 1.42).
"""

from __future__ import annotations

from dockwright.client.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HEAD_BYTES = 256 * 1024
_MAX_LINE_BYTES = 16 * 1024


def encode_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The request line and header fields, empty line included. Raises `ProtocolError` for control characters."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or " " in target:
        raise ProtocolError("a line break or blank in a request's address or header")
    return (text + "\r\n\r\n").encode("utf-8")


def encode_chunk(data: bytes) -> bytes:
    """One chunk of a chunked request body; `b""` is the end of it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Head:
    """Status line and header fields; names in lower case, a repeated field joined with a comma."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: dict[str, str]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers

    def get(self, name: str) -> str:
        return self.headers.get(name, "")


class ResponseParser:
    """One response: feed it what the connection delivers, take out the head and then the body.

    `keep_alive` is known once `finished`. After a switch to a raw stream `raw` is true and the body is that stream.
    """

    __slots__ = ("_body", "_buffer", "_left", "_method", "_mode", "head", "keep_alive")

    def __init__(self, method: str) -> None:
        self._method = method
        self._buffer = bytearray()
        self._body: list[bytes] = []
        self._mode = "head"
        self._left = 0
        self.head: Head | None = None
        self.keep_alive = False

    @property
    def finished(self) -> bool:
        """The whole message is in; `take` may still hold its last bytes."""
        return self._mode == "done"

    @property
    def raw(self) -> bool:
        return self._mode == "raw"

    def receive(self, data: bytes) -> None:
        """Bytes from the connection, `b""` when the peer closed it. Raises `ProtocolError` on broken framing."""
        if not data:
            self._closed()
        elif self._mode in ("until-close", "raw"):
            self._body.append(bytes(data))
        else:
            self._buffer += data
            while self._step():
                pass

    def take(self) -> bytes:
        """The body bytes that have arrived since the last call."""
        if not self._body:
            return b""
        taken = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        return taken

    def _closed(self) -> None:
        if self._mode in ("until-close", "raw"):
            self._mode = "done"
        elif self._mode == "head":
            raise ProtocolError("the engine closed the connection without an answer")
        elif self._mode != "done":
            raise ProtocolError("the engine closed the connection in the middle of its answer")

    def _step(self) -> bool:
        """One transition; false when more bytes are needed."""
        if self._mode == "head":
            return self._read_head()
        if self._mode == "length":
            return self._read_data("done")
        if self._mode == "chunk":
            return self._read_data("chunk-end")
        if self._mode in ("chunk-size", "chunk-end", "trailer"):
            return self._read_line()
        if self._mode in ("until-close", "raw") and self._buffer:
            self._body.append(bytes(self._buffer))
            self._buffer.clear()
        return False

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ProtocolError("the head of the engine's answer does not end")
            return False
        head = _parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        if 100 <= head.status < 200 and head.status != 101:
            return True
        self.head = head
        self._frame(head)
        return self._mode != "done"

    def _frame(self, head: Head) -> None:
        """How long the body is (RFC 9112, 6.3)."""
        self.keep_alive = "close" not in head.get("connection").lower()
        if head.status == 101:
            self._mode, self.keep_alive = "raw", False
        elif self._method == "HEAD" or head.status in (204, 304):
            self._mode = "done"
        elif "chunked" in head.get("transfer-encoding").lower():
            self._mode = "chunk-size"
        elif "content-length" in head.headers:
            self._left = _length(head.get("content-length"))
            self._mode = "length" if self._left else "done"
        else:
            self._mode, self.keep_alive = "until-close", False

    def _read_data(self, after: str) -> bool:
        piece = bytes(self._buffer[: self._left])
        if piece:
            self._body.append(piece)
            del self._buffer[: len(piece)]
            self._left -= len(piece)
        if self._left:
            return False
        self._mode = after
        return after != "done"

    def _read_line(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_LINE_BYTES:
                raise ProtocolError("a chunk of the engine's answer has no size")
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if self._mode == "chunk-end":
            if line:
                raise ProtocolError("a chunk of the engine's answer is longer than it says")
            self._mode = "chunk-size"
        elif self._mode == "chunk-size":
            self._left = _chunk_size(line)
            self._mode = "chunk" if self._left else "trailer"
        elif not line:
            self._mode = "done"
            return False
        return True


def _parse_head(data: bytes) -> Head:
    status_line, *fields = data.decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not (code.isdigit() and len(code) == 3):
        raise ProtocolError(f"the answer is not HTTP: {status_line[:80]!r}")
    headers: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon:
            raise ProtocolError(f"a header of the answer has no colon: {field[:80]!r}")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return Head(int(code), reason, headers)


def _length(text: str) -> int:
    if not text.isdigit():
        raise ProtocolError(f"content-length is not a number: {text[:40]!r}")
    return int(text)


def _chunk_size(line: bytes) -> int:
    digits = line.split(b";", 1)[0].strip()
    try:
        size = int(digits, 16)
    except ValueError as error:
        raise ProtocolError(f"a chunk size is not a number: {line[:40]!r}") from error
    if size < 0:
        raise ProtocolError(f"a chunk size is not a number: {line[:40]!r}")
    return size
