"""What a command works with: the engine's client, the configuration, and the three standard streams."""

from __future__ import annotations

import os

from dockwright import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.client.config import Config
    from dockwright.client.endpoint import Endpoint, Tls
    from dockwright.client.sync import Client

STDIN, STDOUT, STDERR = 0, 1, 2


class OutputClosed(Exception):
    """Whoever read our standard output has gone."""


class Session:
    """One invocation. Client and configuration are made when first asked for: `--help` needs neither."""

    def __init__(
        self, *, config_dir: str = "", host: str = "", context: str = "", debug: bool = False, tls: Tls | None = None
    ) -> None:
        self._config_dir = config_dir
        self.host = host
        self.context = context
        self.debug = debug
        self._tls = tls
        self._config: Config | None = None
        self._client: Client | None = None

    @property
    def config(self) -> Config:
        if self._config is None:
            from dockwright.client.config import Config

            self._config = Config.load(self._config_dir)
        return self._config

    def endpoint(self) -> Endpoint:
        from dockwright.client.endpoint import resolve

        try:
            return resolve(self.config, host=self.host, context=self.context, tls=self._tls)
        except errors.DockwrightError as error:
            raise type(error)(f"Failed to initialize: {error}") from error

    @property
    def client(self) -> Client:
        if self._client is None:
            from dockwright.client.sync import Client

            self._client = Client(self.endpoint(), headers=self.config.headers)
            if self.debug:
                self._client.trace = lambda line: self.error(f"DEBU {line}")
        return self._client

    def out(self, text: str) -> None:
        """Print `text` as it is on standard output."""
        self.write(STDOUT, text.encode("utf-8", "surrogateescape"))

    def line(self, text: str) -> None:
        self.out(text + "\n")

    def error(self, text: str) -> None:
        """Print a line on standard error; nobody listening there is no reason to fail."""
        try:
            self.write(STDERR, (text + "\n").encode("utf-8", "surrogateescape"))
        except OutputClosed:
            pass

    @staticmethod
    def write(descriptor: int, data: bytes) -> None:
        """Write all of `data`. Raises `OutputClosed` when the reader has gone."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                _wait_writable(descriptor)
            except BrokenPipeError as error:
                raise OutputClosed from error

    def confirmed(self, question: str) -> bool:
        """Ask `question` on standard output and read y or n."""
        self.out(f"{question} [y/N] ")
        return self.read_line().strip().lower() in ("y", "yes")

    @staticmethod
    def read_line() -> str:
        """A line of standard input with its end, and no byte more; less at the end of the input."""
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(STDIN, 1)
            if not piece:
                break
            line += piece
        return line.decode("utf-8", "surrogateescape")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _wait_writable(descriptor: int) -> None:
    """A standard stream that another process has made non-blocking is full."""
    from select import POLLOUT, poll

    waiter = poll()
    waiter.register(descriptor, POLLOUT)
    waiter.poll()
