"""One loop that joins stdin, stdout and stderr to a container's stream, hands signals on, and waits for the exit.

A single poll(2) over everything: no threads, so nothing can block on a full pipe while another direction has something
to say, and the terminal is restored wherever the loop is left.
"""

from __future__ import annotations

import os

from dockwright.cli.command import ExitStatus
from dockwright.cli.session import STDERR, STDIN, STDOUT, OutputClosed
from dockwright.cli.terminal import keys, raw, signals
from dockwright.client import wirejson
from dockwright.client.errors import EngineFailure
from dockwright.client.multiplex import STDERR as STDERR_FRAME
from dockwright.client.multiplex import SYSTEM_ERROR, Demultiplexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dockwright.cli.session import Session
    from dockwright.client.sync import Response, Stream

_PIECE_BYTES = 32 * 1024


class Detached(Exception):
    """The person typed the detach keys."""


class Output:
    """What arrives from a container, to our stdout and stderr: raw with a terminal, else taken out of its frames."""

    def __init__(self, session: Session, *, tty: bool) -> None:
        self._session = session
        self._frames = None if tty else Demultiplexer()

    def feed(self, data: bytes) -> None:
        if self._frames is None:
            self._session.write(STDOUT, data)
            return
        for stream, payload in self._frames.feed(data):
            if stream == SYSTEM_ERROR:
                raise EngineFailure(payload.decode("utf-8", "replace"), 500)
            self._session.write(STDERR if stream == STDERR_FRAME else STDOUT, payload)


class Joint:
    """The streams of one container or exec, and what to do about signals meanwhile.

    `stdin` says that ours is to be sent; `detach_keys` are looked for only with a terminal. `on_signal` gets the numbers of
    `proxied` signals, `on_resize` is called for each change of the terminal's size.
    """

    def __init__(
        self,
        session: Session,
        stream: Stream,
        *,
        tty: bool,
        stdin: bool,
        detach_keys: bytes = b"",
        on_signal: Callable[[int], None] | None = None,
        on_resize: Callable[[], None] | None = None,
    ) -> None:
        self._stream = stream
        self._output = Output(session, tty=tty)
        self._typed = keys.Filter(detach_keys) if tty and stdin and detach_keys else None
        self._reading = stdin
        self._ended = False
        self._on_signal = on_signal
        self._on_resize = on_resize
        self._raw = raw.RawTerminal(STDIN if tty and stdin else -1)

    def watch(self) -> signals.Watch:
        """The signals this joint wants to see; to be opened before the container starts."""
        numbers = list(signals.forwarded()) if self._on_signal else list(signals.TERMINATING) if self._typed else []
        return signals.Watch([*numbers, signals.WINCH] if self._on_resize else numbers)

    def run(self, watch: signals.Watch, exit: Response | None = None) -> bytes:
        """Until the stream ends, and then until `exit` has answered; returns its body. Raises `Detached`.

        Without `on_signal`, a signal that would end this process raises `ExitStatus` here.
        """
        status = exit.buffered() if exit is not None else b""
        with self._raw:
            self._print(self._stream.buffered())
            while not self._stream.finished or (exit is not None and not exit.finished):
                for descriptor, events in self._wait(watch, exit):
                    if descriptor == watch.fileno():
                        self._signalled(watch.arrived())
                    elif descriptor == STDIN and self._reading and not self._stream.finished:
                        self._read_stdin()
                    elif exit is not None and not exit.finished and descriptor == exit.fileno():
                        status += exit.receive()
                    elif not self._stream.finished and descriptor == self._stream.fileno():
                        self._exchange(events)
        return status

    def _wait(self, watch: signals.Watch, exit: Response | None) -> list[tuple[int, int]]:
        from select import POLLIN, POLLOUT, poll

        waiter = poll()
        waiter.register(watch.fileno(), POLLIN)
        if not self._stream.finished:
            waiter.register(self._stream.fileno(), POLLIN | POLLOUT if self._stream.unsent else POLLIN)
            if self._reading and not self._stream.unsent:
                waiter.register(STDIN, POLLIN)
        if exit is not None and not exit.finished:
            waiter.register(exit.fileno(), POLLIN)
        return waiter.poll()

    def _exchange(self, events: int) -> None:
        from select import POLLOUT

        if events & POLLOUT:
            self._send()
        if events & ~POLLOUT:
            data = self._stream.receive()
            self._print(data)

    def _print(self, data: bytes) -> None:
        if not data:
            return
        try:
            self._output.feed(data)
        except OutputClosed as error:
            if self._on_signal is None:
                raise
            # As Docker: the container lives on, we do not.
            raise ExitStatus(1, "write /dev/stdout: broken pipe") from error

    def _read_stdin(self) -> None:
        try:
            data = os.read(STDIN, _PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a terminal that has gone is an input that has ended
        if not data:
            self._reading = False
            self._ended = True
        elif self._typed is not None:
            self._stream.queue(self._typed.feed(data))
            if self._typed.detached:
                self._send()
                raise Detached
        else:
            self._stream.queue(data)
        self._send()

    def _send(self) -> None:
        try:
            self._stream.flush_some()
            if self._ended and not self._stream.unsent:
                self._ended = False
                self._stream.close_write()
        except (BrokenPipeError, ConnectionResetError):
            self._reading = False  # the container has closed its stdin; its output may go on

    def _signalled(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == signals.WINCH:
                if self._on_resize:
                    self._on_resize()
            elif self._on_signal:
                self._on_signal(number)
            else:
                self._raw.restore()
                raise ExitStatus(128 + number)


def exit_status(body: bytes) -> int:
    """The status in the body of an answered wait. Raises `EngineFailure` when the engine could not tell."""
    value: Any = wirejson.decode(body) if body else {}
    problem = (value.get("Error") or {}).get("Message")
    if problem:
        raise EngineFailure(problem, 500)
    return int(value.get("StatusCode", 0))


def chosen_keys(session: Session, given: str) -> tuple[str, bytes]:
    """The detach keys in force, as text for the engine and as bytes: the option, the configuration, or Docker's."""
    text = given or session.config.text("detachKeys")
    return text, keys.parse(text or keys.DEFAULT)


def resizer(session: Session, resize: Callable[[int, int], None]) -> Callable[[], None] | None:
    """A function that tells the engine the terminal's size; `None` where stdout is no terminal."""
    if raw.size() is None:
        return None
    from dockwright import errors

    def tell() -> None:
        size = raw.size()
        if size is None:
            return
        try:
            resize(*size)
        except (errors.DockwrightError, OSError) as error:
            if session.debug:
                session.error(f"DEBU resize: {error}")

    return tell
