"""Sockets inside a container's network namespace, made by this process: no program of the container is what is measured."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable

from bench.engines import Engine
from bench.http import Failed

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def opened(engine: Engine, container: str, make: Callable[[], socket.socket]) -> socket.socket:
    """What `make` opens in the namespace of a running container. Raises `Failed`, `OSError`."""
    pid = int(engine.call("GET", f"/containers/{container}/json")["State"]["Pid"])
    found: list[socket.socket | OSError] = []

    def enter() -> None:  # a thread of its own: it stays where it went
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(fd, _CLONE_NEWNET):
                found.append(OSError(ctypes.get_errno(), "setns"))
            else:
                found.append(make())
        except OSError as error:
            found.append(error)
        finally:
            os.close(fd)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if not found or isinstance(found[0], OSError):
        raise Failed(f"namespace of {container[:12]}: {found[0] if found else 'no socket'}")
    return found[0]


class Sink:
    """Listens in a container and takes what comes, one connection after another, at 1 MiB a read."""

    def __init__(self, engine: Engine, container: str, port: int) -> None:
        self._listening = opened(engine, container, lambda: socket.create_server(("", port)))
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _take(self) -> None:
        buffer = bytearray(1 << 20)
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                while connection.recv_into(buffer):
                    pass
                connection.sendall(b".")


def send(connection: socket.socket, count_mib: int) -> None:
    """Send so many MiB to a `Sink`, and wait until it has them all. Closes the connection. Raises `Failed`."""
    block = bytes(1 << 20)
    with connection:
        for _ in range(count_mib):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1) != b".":
            raise Failed("the sink ended before it had everything")
