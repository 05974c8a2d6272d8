"""The synchronous face: the command line's, and a script's that wants no event loop."""

from __future__ import annotations

import os

from dockwright.client import exchange, http1, wirejson
from dockwright.client.calls import system
from dockwright.client.errors import ProtocolError
from dockwright.client.transport import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from dockwright.client.call import Call
    from dockwright.client.endpoint import Endpoint
    from dockwright.client.errors import ResponseError
    from dockwright.client.transport import Transport

_TOGETHER = 50


class Client:
    """An engine's API, one call at a time; connections are opened as needed and kept for the next call.

    `version` empty means: negotiate at the first call, unless `DOCKER_API_VERSION` names one.
    """

    def __init__(self, endpoint: Endpoint, *, version: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.endpoint = endpoint
        self.headers = dict(headers or {})
        self._version = version or os.environ.get("DOCKER_API_VERSION", "").removeprefix("v")
        self._idle: list[Transport] = []
        self.ping_head: http1.Head | None = None
        self.trace: Callable[[str], None] | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """A client for the engine that Docker's environment variables and configuration name."""
        from dockwright.client.config import Config
        from dockwright.client.endpoint import resolve

        config = Config.load()
        return cls(resolve(config), headers=config.headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    @property
    def version(self) -> str:
        """The API version spoken with this engine; the first use asks the engine (`/_ping`)."""
        if not self._version:
            response = Response(self, self._checkout(), system.ping())
            response.begin("")
            response.read()
            assert response.head is not None
            self.ping_head = response.head
            self._version = exchange.negotiated(response.head)
        return self._version

    @property
    def builder_version(self) -> int:
        """Which builder the engine prefers, as it says at `/_ping`: from 2 on it speaks BuildKit's protocol."""
        if self.ping_head is None:
            response = Response(self, self._checkout(), system.ping())
            response.begin("")
            response.read()
            self.ping_head = response.head
        text = self.ping_head.get("builder-version") if self.ping_head is not None else ""
        return int(text) if text.isascii() and text.isdigit() else 1

    def at_least(self, version: str) -> bool:
        """Whether the engine speaks `version` or newer."""
        return exchange.version_key(self.version) >= exchange.version_key(version)

    def send(self, call: Call) -> Response:
        """Send `call` and wait for the head of the answer. Raises a `ResponseError` for status 400 and more."""
        version = self.version
        reused = bool(self._idle)
        response = Response(self, self._checkout(), call)
        try:
            response.begin(version)
        except (ProtocolError, ConnectionError):
            # The engine may close a connection it finds idle; asking again is safe where asking changes nothing.
            if not reused or call.method not in ("GET", "HEAD"):
                raise
            response = Response(self, connect(self.endpoint), call)
            response.begin(version)
        assert response.head is not None
        if self.trace is not None:
            self.trace(f"{call.method} /v{version}{call.target} {response.head.status}")
        if exchange.is_error(response.head):
            raise exchange.error_of(response.head, response.read())
        return response

    def json(self, call: Call) -> Any:
        """The answer's JSON value; `None` where the body is empty."""
        body = self.send(call).read()
        try:
            return wirejson.decode(body) if body else None
        except wirejson.NotJson as error:
            raise ProtocolError(f"the engine's answer to {call.method} {call.target} is {error}") from error

    def run(self, call: Call) -> None:
        """Send `call` for its effect."""
        self.send(call).read()

    def run_together(self, calls: Sequence[Call]) -> Iterator[ResponseError | None]:
        """Send `calls` at once, each on a connection of its own, and yield the outcome of each in their order."""
        version = self.version
        for start in range(0, len(calls), _TOGETHER):
            under_way = [Response(self, self._checkout(), call) for call in calls[start : start + _TOGETHER]]
            for response in under_way:
                response.request(version)
            for response in under_way:
                head, body = response.await_head(), response.read()
                yield exchange.error_of(head, body) if exchange.is_error(head) else None

    def hijack(self, call: Call) -> Stream:
        """Send a call whose answer turns the connection into a two-way stream."""
        return Stream(self.send(call))

    def _checkout(self) -> Transport:
        return self._idle.pop() if self._idle else connect(self.endpoint)

    def _checkin(self, transport: Transport) -> None:
        self._idle.append(transport)


class Response:
    """An answer under way: the head is in, the body is read on demand, the connection goes back when it is through."""

    def __init__(self, client: Client, transport: Transport, call: Call) -> None:
        self._client = client
        self._transport: Transport | None = transport
        self._call = call
        self._parser = http1.ResponseParser(call.method)

    def begin(self, version: str) -> None:
        """Send the request and read until the head of the answer is there."""
        self.request(version)
        self.await_head()

    def request(self, version: str) -> None:
        """Send the request alone; `await_head` is to follow."""
        try:
            self._send_request(self.transport, version)
        except (BrokenPipeError, ConnectionResetError):
            pass  # an engine that refuses early closes early; its answer, if any, is still to be read
        except BaseException:
            self.close()
            raise

    def await_head(self) -> http1.Head:
        """Read until the head of the answer is there."""
        try:
            while self._parser.head is None:
                self._parser.receive(self._recv(self.transport))
        except BaseException:
            self.close()
            raise
        return self._parser.head

    @property
    def head(self) -> http1.Head | None:
        return self._parser.head

    @property
    def finished(self) -> bool:
        return self._parser.finished

    @property
    def transport(self) -> Transport:
        assert self._transport is not None, "the answer has been read or closed"
        return self._transport

    def fileno(self) -> int:
        return self.transport.fileno()

    def buffered(self) -> bytes:
        """Body bytes that came together with the head: a poll loop asks for them once, before it waits for more."""
        return self._parser.take()

    def receive(self) -> bytes:
        """One read of the connection: the body bytes it brought, perhaps none; see `finished`."""
        if not self._parser.finished:
            taken = self._parser.take()
            if taken:
                return taken
            self._parser.receive(self._recv(self.transport))
        taken = self._parser.take()
        if self._parser.finished:
            self._release()
        return taken

    def __iter__(self) -> Iterator[bytes]:
        while not self._parser.finished:
            piece = self.receive()
            if piece:
                yield piece
        if piece := self._parser.take():
            yield piece
        self._release()

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self)

    def values(self) -> Iterator[Any]:
        """The body's JSON values one after another, as they arrive."""
        stream = wirejson.Stream()
        for piece in self:
            yield from stream.feed(piece)
        yield from stream.feed(b"")

    def close(self) -> None:
        """Give the connection up; the engine sees that nobody listens any more."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _release(self) -> None:
        if self._transport is None:
            return
        if self._parser.keep_alive:
            self._client._checkin(self._transport)
            self._transport = None
        else:
            self.close()

    @staticmethod
    def _recv(transport: Transport) -> bytes:
        try:
            return transport.recv(exchange.READ_BYTES)
        except ConnectionResetError:
            return b""

    def _send_request(self, transport: Transport, version: str) -> None:
        call = self._call
        head = exchange.request_head(call, self._client.endpoint, version, self._client.headers)
        if call.body is None or isinstance(call.body, bytes):
            transport.send(head + (call.body or b""))
            return
        transport.send(head)
        for piece in call.body:
            if piece and not self._upload(transport, http1.encode_chunk(piece)):
                return
        self._upload(transport, http1.encode_chunk(b""))

    def _upload(self, transport: Transport, data: bytes) -> bool:
        """Send, and read what the engine says meanwhile: an early answer would block both sides. False: it answered no."""
        from select import POLLIN, POLLOUT, poll

        transport.queue(data)
        transport.flush_some()
        waiter = poll()
        waiter.register(transport.fileno(), POLLIN | POLLOUT)
        while transport.unsent:
            events = waiter.poll()[0][1]
            if events & ~POLLOUT:
                self._parser.receive(self._recv(transport))
                if self._parser.head is not None and exchange.is_error(self._parser.head):
                    return False
            transport.flush_some()
        return True


class Stream:
    """A hijacked connection: raw or multiplexed bytes in, raw bytes out, each direction closed on its own.

    Engines before API 1.42 do not say whether the stream is multiplexed; the caller knows (no terminal: it is).
    """

    def __init__(self, response: Response) -> None:
        self._response = response
        self._transport = response.transport

    @property
    def content_type(self) -> str:
        head = self._response.head
        return head.get("content-type") if head else ""

    @property
    def finished(self) -> bool:
        return self._response.finished

    @property
    def unsent(self) -> bool:
        return self._transport.unsent

    def fileno(self) -> int:
        return self._transport.fileno()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def buffered(self) -> bytes:
        """Bytes that came together with the answer's head."""
        return self._response.buffered()

    def receive(self) -> bytes:
        """One read: the bytes it brought; see `finished`."""
        return self._response.receive()

    def write(self, data: bytes) -> None:
        """Send all of `data`, however long the engine takes to read it."""
        self._transport.send(data)

    def queue(self, data: bytes) -> None:
        """Keep `data` for `flush_some`, which sends what goes without blocking."""
        self._transport.queue(data)

    def flush_some(self) -> None:
        self._transport.flush_some()

    def close_write(self) -> None:
        self._transport.close_write()

    def close(self) -> None:
        self._response.close()
        self._transport.close()
