"""A wire between clients and a daemon that breaks after so many bytes: what was underway ends in the middle, each time at the same."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_PIECE = 1 << 16


class Wire:
    """Passes on what comes to the socket `path`; once clients have sent `limit` bytes, `act` is done and all connections end.

    with Wire(tmp / "s", daemon.socket, limit=1 << 20) as wire:
        ...                                     # clients go to wire.url
        assert wire.broken.is_set()
    """

    def __init__(self, path: Path, upstream: Path, limit: int, act: Callable[[], None] = lambda: None) -> None:
        self.url = f"unix://{path}"
        self.broken = threading.Event()
        self._upstream, self._left, self._act = str(upstream), limit, act
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        self._listening.listen()

    def __enter__(self) -> Wire:
        self._begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._end_all()
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()
        self._listening.close()

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return  # it is over
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with self._lock:
                self._open |= {client, server}
            if self.broken.is_set() or server.connect_ex(self._upstream):
                _end(client)
                continue
            self._begin(self._pass_on, client, server, True)
            self._begin(self._pass_on, server, client, False)

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while piece := source.recv(_PIECE):
                sink.sendall(piece)
                if counted:
                    self._count(len(piece))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _end(source)
            _end(sink)

    def _count(self, size: int) -> None:
        with self._lock:
            self._left -= size
            if self._left > 0 or self.broken.is_set():
                return
            self.broken.set()
        self._act()
        self._end_all()

    def _end_all(self) -> None:
        with self._lock:
            for one in self._open:
                _end(one)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended already
